"""Authorities with a clock that stands still."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PASSPHRASE = "correct horse battery staple"

SpecFactory = Callable[..., CertificateSpec]


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def passphrase() -> str:
    return PASSPHRASE


@pytest.fixture(scope="session")
def shared_authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    """Unlocked authorities for tests that change nothing on disk."""
    store = tmp_path_factory.mktemp("state") / "pki"
    return Authorities.create(store, "lab", PASSPHRASE, 10, clock=lambda: NOW)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of a test's own."""
    directory = tmp_path / "pki"
    Authorities.create(directory, "lab", PASSPHRASE, 10, clock=lambda: NOW)
    return directory


@pytest.fixture(scope="session")
def spec() -> SpecFactory:
    """Make a specification: beta's mesh server unless told otherwise."""

    server = CertificateSpec(
        name="mesh-server",
        host="beta",
        authority="mesh",
        common_name="beta",
        dns_names=("beta",),
        ip_addresses=("10.0.1.2",),
        usage="server",
    )
    return partial(dataclasses.replace, server)
