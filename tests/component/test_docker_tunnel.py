"""Docker's API through a process for each connection, as the operator's SSH carries it, to a real dockerd."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from dagfleet.fleet import load_fleet
from dagfleet.image import docker_endpoint
from dagfleet.image import endpoint as module
from dagfleet.image.tunnel import TunnelledClient
from docker.errors import APIError

from tests.component.test_docker_endpoint import FLEET

DIAL = ["docker", "system", "dial-stdio"]


def client(command: list[str]) -> TunnelledClient:
    return TunnelledClient(command, version="1.41", timeout=20)


def test_calls_at_once_each_have_a_connection() -> None:
    answers: list[object] = []
    tunnelled = client(DIAL)
    threads = [threading.Thread(target=lambda: answers.append(tunnelled.version())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    tunnelled.close()
    assert len(answers) == 8
    assert all(isinstance(answer, dict) and answer["ApiVersion"] for answer in answers)


def test_calls_for_different_things_share_a_connection() -> None:
    tunnelled = client(DIAL)
    for ask in (tunnelled.ping, tunnelled.version, tunnelled.info, tunnelled.containers.list):
        assert ask() is not None
    assert len(tunnelled._tunnel._processes) == 1
    tunnelled.close()


def test_what_streams_is_carried_until_it_is_closed() -> None:
    tunnelled = client(DIAL)
    events = tunnelled.events(decode=True)
    # The call that makes the event goes beside the stream.
    volume = tunnelled.volumes.create()
    assert any(event["Actor"]["ID"] == volume.name for event in events)
    volume.remove()
    tunnelled.close()


def test_the_reason_why_nobody_answers_is_in_the_error() -> None:
    tunnelled = client([sys.executable, "-c", "raise SystemExit('no route to host')"])
    with pytest.raises(APIError, match="no route to host"):
        tunnelled.ping()
    tunnelled.close()


def test_nothing_is_left_after_closing() -> None:
    tunnelled = client(DIAL)
    tunnelled.ping()
    folder = tunnelled._tunnel.path.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    [process] = tunnelled._tunnel._processes
    tunnelled.close()
    process.wait(timeout=20)
    assert not folder.exists()


def test_with_access_ssh_the_operator_comes_by_their_own_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleet.yml").write_text(FLEET.format(port=2376) + "docker: {access: ssh}\n")
    fleet_file = load_fleet(tmp_path / "fleet.yml")
    asked: list[list[str]] = []

    def local(host: module.Target) -> list[str]:
        asked.append(module.ssh(host, ["docker", "system", "dial-stdio"]))
        return DIAL

    monkeypatch.setattr(module, "docker_command", local)
    connected = docker_endpoint(fleet_file, "alpha", "launcher")
    assert connected.ping()
    connected.close()
    [command] = asked
    assert command[-1] == "docker system dial-stdio"
    assert f'UserKnownHostsFile="{tmp_path}/.dagfleet/known_hosts"' in command
    assert subprocess.run(["ssh", "-G", *command[1:-1]], capture_output=True, check=False).returncode == 0
