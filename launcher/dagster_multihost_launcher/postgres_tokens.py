"""Short-lived tokens in place of a password, which dagster-postgres knows since Dagster 1.13."""

from collections.abc import Callable, Mapping
from typing import Any

from dagster_postgres import utils
from sqlalchemy import Engine, create_engine


def _none(config: Mapping[str, Any]) -> None:
    del config


def _engine(url: str, *, token_provider: None = None, **kwargs: Any) -> Engine:
    del token_provider
    return create_engine(url, **kwargs)


get_token_provider_from_config: Callable[..., Any] = getattr(utils, "get_token_provider_from_config", _none)
create_pg_engine: Callable[..., Engine] = getattr(utils, "create_pg_engine", _engine)
