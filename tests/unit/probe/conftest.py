from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagfleet.fleet import parse_fleet
from dagfleet.fleet.model import Fleet
from dagfleet.probe import trust
from dagfleet.probe.target import Target

from tests.unit.probe.ssh_server import Running, ssh_server, write_key

FLEET = """
version: 1
name: prod
dagster: {version: "1.13.27"}
control: {host: alpha, web: {hostname: dagster.example.com, users: secret://web_users}}
hosts:
  alpha: {address: 10.0.1.1, ssh: {user: ops}}
  beta: {address: 10.0.1.2, ssh: {user: ops}}
  delta: {address: 10.0.1.4, docker: none}
locations:
  etl: {hosts: [beta], image: "etl:1", module: etl.defs}
  reporting: {hosts: [delta], requirements: [./reporting], module: reporting.defs}
secrets: {web_users: {generated: {users: [demo]}}}
"""


@pytest.fixture
def fleet() -> Fleet:
    return parse_fleet(FLEET, name="fleet.yml")


@pytest.fixture(autouse=True)
def no_personal_known_hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    personal = tmp_path / "personal_known_hosts"
    monkeypatch.setattr(trust, "PERSONAL", (personal,))
    return personal


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with ssh_server(write_key(tmp_path / "id")) as running:
        yield running


@pytest.fixture
def to(tmp_path: Path) -> Callable[..., Target]:
    """A target on loopback; `port` decides which server."""

    def target(port: int, *, name: str = "beta", key: str = "id") -> Target:
        return Target(
            name=name,
            address="127.0.0.1",
            user="root",
            port=port,
            key=tmp_path / key,
            known_hosts=tmp_path / "state" / "known_hosts",
        )

    return target
