from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.phases.work import Work
from dagfleet.runner.log import Log

FLEET = """
version: 1
name: prod
dagster: {version: "1.13.27"}
control: {host: alpha, web: {hostname: dagster.example.com, users: secret://web_users}}
hosts:
  alpha: {address: 10.0.1.1}
  beta: {address: 10.0.1.2}
  delta: {address: 10.0.1.4, docker: none}
locations:
  etl: {hosts: [beta], image: "etl:1", module: etl.defs}
  reporting: {hosts: [delta], requirements: [./reporting], module: reporting.defs}
docker: {images: push}
pki: {passphrase: secret://ca}
secrets: {web_users: {generated: {users: [demo]}}, ca: {generated: true}}
"""


@dataclass
class Heard:
    """A Progress that remembers."""

    lines: list[str] = field(default_factory=list)

    def line(self, label: str, text: str, seconds: float | None = None) -> None:
        del seconds
        self.lines.append(f"{label}: {text}")

    def say(self, text: str = "") -> None:
        self.lines.append(text)

    @contextmanager
    def working(self, label: str, text: str) -> Iterator[Callable[[str], None]]:
        del label, text
        yield lambda _now: None

    @contextmanager
    def moving(self, rows: Callable[[], Sequence[tuple[str, str, float]]]) -> Iterator[None]:
        del rows
        yield


@dataclass
class FakeLock:
    """Stands in for the lock, which tests/unit/probe/test_lock.py runs for real."""

    events: list[str] = field(default_factory=list)
    lost: Exception | None = None
    command: str = "dagfleet apply"

    def __enter__(self) -> "FakeLock":
        return self

    def __exit__(self, *error: object) -> None:
        self.events.append("released")

    def take(self, **arguments: object) -> None:
        del arguments
        self.events.append("taken")

    def confirm(self) -> None:
        self.events.append("confirmed")
        if self.lost:
            raise self.lost


@pytest.fixture
def fleet_file(tmp_path: Path) -> FleetFile:
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET)
    (tmp_path / "reporting").mkdir()
    return load_fleet(path)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def work(fleet_file: FleetFile, heard: Heard, tmp_path: Path) -> Iterator[Work]:
    lock: Any = FakeLock()
    with Log(tmp_path / "logs", "apply", lambda text: text) as log:
        yield Work(
            fleet_file=fleet_file,
            hosts=list(fleet_file.fleet.hosts),
            progress=heard,
            secrets={"ca": "a long passphrase", "web_users": "demo:secret"},
            mask=lambda text: text,
            log=log,
            lock=lock,
        )
