"""Another run launcher that a location names: checked when ours loads, as Dagster would check it."""

import importlib
from collections.abc import Iterator

from dagster._config import process_config, resolve_to_config_type
from dagster._core.launcher.base import RunLauncher
from dagster._serdes import ConfigurableClass

from dagster_multihost_launcher.settings import Foreign


def problems(where: str, foreign: Foreign) -> Iterator[str]:
    """Yield a sentence for each mistake. The launcher is imported, but not built: that may do I/O."""
    try:
        found = getattr(importlib.import_module(foreign.module), foreign.class_name, None)
    except ImportError as error:
        yield f"{where}.module: {foreign.module}: cannot be imported ({error}); install its package here"
        return
    if not isinstance(found, type) or not issubclass(found, RunLauncher):
        yield f"{where}.class: {foreign.class_name}: is no run launcher in {foreign.module}; correct the name"
        return
    if not issubclass(found, ConfigurableClass):
        yield f"{where}.class: {foreign.class_name}: takes no configuration from YAML; name another one"
        return
    checked = process_config(resolve_to_config_type(found.config_type()), dict(foreign.config))
    for mistake in checked.errors or ():
        yield f"{where}.config: {mistake.message}"
