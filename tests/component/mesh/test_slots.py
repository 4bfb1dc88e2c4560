"""A code server is exchanged for the one in its other slot, through both HAProxies, while calls go on."""

import importlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType

import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient

from tests.component.mesh.conftest import ADDRESSES, ROOT, Mesh, end, running_mesh, start_code_server

SETTINGS = 4
LIBRARY = ROOT / "roles/code_server/files/lib"


@dataclass
class Calls:
    """Which server answered each call, and what calls that nobody answered said."""

    answers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh of its own: its code servers come and go."""
    with running_mesh(tmp_path_factory.mktemp("slots")) as mesh:
        yield mesh


@pytest.fixture
def slots(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """How the script of role code_server switches; its HAProxy is beta's."""
    monkeypatch.syspath_prepend(LIBRARY)
    # What lies there is copied to hosts.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("code_servers.slots")
    monkeypatch.setattr(module, "SLOTS", mesh.slots)
    monkeypatch.setattr(module, "ADMIN_SOCKET", mesh.directory / "beta.sock")
    return module


def test_an_exchange_loses_no_call(mesh: Mesh, slots: ModuleType) -> None:
    blue_port = mesh.ports["code-beta"]
    started = start_code_server(blue_port + 1, mesh.directory)
    try:
        green = _eventual_id("127.0.0.1", blue_port + 1)
        blue = _eventual_id("127.0.0.1", blue_port)
        with _constant_calls(mesh) as calls:
            _wait_for(lambda: calls.answers[-20:] == [blue] * 20)
            slots.switch_to("etl", "green")
            _wait_for(lambda: calls.answers[-1] == green)
            calls_to = importlib.import_module("code_servers.calls")
            with calls_to.here(blue_port) as server:
                assert calls_to.server_id(server) == blue
                calls_to.shut_down(server)
            assert mesh.code_servers["beta"].wait(timeout=20) == 0
            seen = len(calls.answers)
            _wait_for(lambda: len(calls.answers) > seen + 20)
        assert calls.errors == []
        # Once one has gone to the new server, none goes back.
        assert set(calls.answers[calls.answers.index(green) :]) == {green}
    finally:
        end(started)


def test_who_waits_for_its_turn_can_be_asked_by_the_gateway_alone(mesh: Mesh, slots: ModuleType) -> None:
    slots.switch_to("etl", "green")
    port = mesh.ports["code-beta"]
    waiting = start_code_server(port, mesh.directory / "waiting")
    try:
        _eventual_id("127.0.0.1", port)
        assert _introduced(mesh, "etl") == ["defs"]
        with pytest.raises(slots.Failed, match="the mesh ended the connection"):
            _introduced(mesh, "etl", identity="beta")
        assert mesh.greeting("beta", "gateway", None, protocol="etl.next.grpc.dagfleet")[3] == SETTINGS
        for identity in ("beta", None):
            assert mesh.greeting("beta", identity, None, protocol="etl.next.grpc.dagfleet") == b""
        assert mesh.greeting("beta", "gateway", "etl.next.grpc.dagfleet") == b""
    finally:
        end(waiting)
    # It is another one than the one that serves, and here nobody is that.
    for location in ("etl", "other"):
        with pytest.raises(slots.Failed, match="the mesh ended the connection"):
            _introduced(mesh, location)


def test_a_haproxy_that_does_not_know_the_map_is_not_switched(
    mesh: Mesh, slots: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "SLOTS", mesh.directory / "another.map")
    with pytest.raises(slots.Failed, match=r"HAProxy cannot switch: .*; bring its configuration up to date"):
        slots.tell_haproxy("etl", "green")


def _introduced(mesh: Mesh, location: str, *, identity: str = "gateway") -> list[str]:
    """Ask beta's waiting server as a deploy does."""
    pki = mesh.directory / f"pki-of-{identity}"
    if not pki.exists():
        pki.mkdir()
        shutil.copy(mesh.directory / "pki/mesh-ca.crt", pki)
        for name in ("pem", "pem.key"):
            shutil.copy(mesh.directory / f"pki/{identity}.{name}", pki / f"gateway.{name}")
    calls = importlib.import_module("code_servers.calls")
    with calls.beside(location, "beta", f"{ADDRESSES['beta']}:{mesh.ports['mesh']}", pki) as server:
        found: list[str] = calls.repositories(server)
    return found


@contextmanager
def _constant_calls(mesh: Mesh) -> Iterator[Calls]:
    """Ask for the server's id through the control plane's egress, as fast as it answers."""
    calls, stop = Calls(), threading.Event()
    client = DagsterGrpcClient(host=ADDRESSES["alpha"], port=mesh.ports["etl"])

    def call() -> None:
        while not stop.is_set():
            try:
                calls.answers.append(client.get_server_id(timeout=5))
            except DagsterUserCodeUnreachableError as error:
                calls.errors.append(str(error))

    _eventual_id(ADDRESSES["alpha"], mesh.ports["etl"])
    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield calls
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _eventual_id(host: str, port: int) -> str:
    client, found = DagsterGrpcClient(host=host, port=port), [""]

    def ask() -> bool:
        try:
            found[0] = client.get_server_id(timeout=2)
        except DagsterUserCodeUnreachableError:
            return False
        return True

    _wait_for(ask)
    return found[0]


def _wait_for(ready: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)
