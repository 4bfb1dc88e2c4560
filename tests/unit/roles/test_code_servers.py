"""What a code server's unit says, and which versions of a location stay on a host."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LIBRARY = Path(__file__).resolve().parents[3] / "roles/code_server/files/lib"
SPECIFICATION = {
    "arguments": ["-m", "reporting.defs", "--location-name", "reporting"],
    "drain_seconds": 180,
    "keep": 2,
    "keep_days": 30,
    "port": 20010,
    "release": "aa11",
    "start_seconds": 120,
    "stop_seconds": 60,
    "writable_paths": ["/srv/out"],
}
DAY = 86400


@pytest.fixture(autouse=True)
def code_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Make the script's own modules importable; none of their files is outside this folder."""
    monkeypatch.syspath_prepend(LIBRARY)
    # What lies there is copied to hosts.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("CODE_SERVER_ROOT", str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "code_servers"]:
        del sys.modules[name]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"code_servers.{name}")


class Shelf:
    """Versions that a host has: a name and what it stands for."""

    version_key = "release"

    def __init__(self, **there: str) -> None:
        self.there = there
        self.used: set[str] = set()

    def version(self, location: str, reference: str) -> str:
        del location
        return self.there.get(reference, reference if reference in self.there.values() else "")

    def discard(self, location: str, reference: str, version: str) -> None:
        del location
        if version in self.used:
            raise module("host").Failed("in use")
        self.there = {name: each for name, each in self.there.items() if (name, each) != (reference, version)}


def serve(shelf: Shelf, *references: str, at: int, monkeypatch: pytest.MonkeyPatch, **settings: int) -> None:
    versions = module("versions")
    monkeypatch.setattr(versions.time, "time", lambda: at)
    for reference in references:
        versions.serves("reporting", shelf, {**SPECIFICATION, **settings, "release": reference})


def test_a_slots_unit_has_its_port_its_release_and_what_it_was_made_of() -> None:
    units = module("units")
    blue, green = (units.unit("reporting", SPECIFICATION, slot) for slot in ("blue", "green"))
    assert " -h 127.0.0.1 -p 20010 " in blue
    assert " -h 127.0.0.1 -p 20011 " in green
    assert "/code-server free 20011\n" in green
    assert f"WorkingDirectory={units.RELEASES}/reporting/aa11\n" in blue
    assert "ReadWritePaths=/var/lib/dagfleet/dagster_home /srv/out\n" in blue
    label = module("server").label(units.Units(), SPECIFICATION)
    assert f"Specification={label}\n" in blue


def test_arguments_reach_the_code_server_as_they_are() -> None:
    arguments = ["-a", 'a "b"', "100%", "$HOME", "back\\slash"]
    [line] = [
        line
        for line in module("units").unit("x", {**SPECIFICATION, "arguments": arguments}, "blue").splitlines()
        if line.startswith("ExecStart=")
    ]
    assert line.endswith(r'"-a" "a \"b\"" "100%%" "$$HOME" "back\\slash"')


def test_what_served_before_stays_by_count_or_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(one="1", two="2", three="3", four="4")
    serve(shelf, "one", "two", "three", at=100 * DAY, monkeypatch=monkeypatch)
    assert sorted(shelf.there) == ["four", "one", "three", "two"]
    serve(shelf, "four", at=131 * DAY, monkeypatch=monkeypatch)
    assert sorted(shelf.there) == ["four", "three"]


def test_what_is_in_use_goes_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(one="1", two="2")
    shelf.used = {"1"}
    serve(shelf, "one", "two", at=100 * DAY, monkeypatch=monkeypatch, keep=1, keep_days=0)
    serve(shelf, "two", at=101 * DAY, monkeypatch=monkeypatch, keep=1, keep_days=0)
    assert sorted(shelf.there) == ["one", "two"]
    shelf.used = set()
    serve(shelf, "two", at=101 * DAY, monkeypatch=monkeypatch, keep=1, keep_days=0)
    assert sorted(shelf.there) == ["two"]


def test_a_name_that_moved_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tag="1")
    serve(shelf, "tag", at=100 * DAY, monkeypatch=monkeypatch)
    shelf.there = {"tag": "2", "": "1"}
    serve(shelf, "tag", at=101 * DAY, monkeypatch=monkeypatch)
    noted: list[Any] = module("versions").noted("reporting")
    assert [(each.reference, each.version) for each in noted] == [("tag", "1"), ("tag", "2")]


def test_a_container_that_goes_while_they_are_looked_at_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    containers, host = module("containers"), module("host")
    there = ["stays", "goes"]

    def docker(command: str, *names: str) -> str:
        if command == "ps":
            return "\n".join(there)
        if "goes" in names:
            there.remove("goes")
            raise host.Failed("no such container")
        return json.dumps(names)

    monkeypatch.setattr(containers, "docker", docker)
    monkeypatch.setattr(containers, "_server", str)
    assert containers.Containers().servers("etl") == ["stays"]
