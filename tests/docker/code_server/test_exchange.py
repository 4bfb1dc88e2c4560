"""A code server is exchanged for another: no call is lost, and whatever goes wrong leaves one that serves."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from typing import Any

import pytest
from dagster._grpc.client import DagsterGrpcClient

from tests.docker.code_server.conftest import LOCATION, Host

pytestmark = pytest.mark.timeout(600)
# Each leaves something else behind; "" is the exchange that nobody kills.
MOMENTS = [
    ("run", "before"),
    ("run", "after"),
    ("rename", "before"),
    ("rename", "after"),
    ("update", "before"),
    ("stop", "before"),
    ("rm", "before"),
]


def test_the_first_server_is_made_and_then_left_alone(host: Host, images: dict[str, str]) -> None:
    host.want(images["first"])
    assert host.converge() == {LOCATION: ["it is not served yet"]}
    made = host.containers()
    assert host.converge() == {}
    assert json.loads(host.script("check", LOCATION).stdout) == {}
    assert host.containers() == made == {f"dagfleet-location-{LOCATION}": images["first"]}


def test_check_tells_what_an_exchange_would_change_and_changes_nothing(
    host: Host, images: dict[str, str]
) -> None:
    host.want(images["first"])
    host.converge()
    made = host.containers()
    host.want(images["second"], arguments=["-f", "/location/definitions.py"])
    assert json.loads(host.script("check", LOCATION).stdout) == {LOCATION: ["arguments", "image"]}
    host.want(images["first"], drain_seconds=5)
    assert json.loads(host.script("check", LOCATION).stdout) == {}
    (host.root / f"etc/dagfleet/locations/{LOCATION}/environment").write_text("SECRET='changed'\n")
    assert json.loads(host.script("check", LOCATION).stdout) == {LOCATION: ["its secrets"]}
    assert host.containers() == made


def test_no_call_is_lost_wherever_an_exchange_is_killed(host: Host, images: dict[str, str]) -> None:
    host.want(images["first"])
    host.converge()
    wanted = images["first"]
    with host.constant_calls() as calls:
        for command, when in MOMENTS:
            wanted = images["second"] if wanted == images["first"] else images["first"]
            host.want(wanted)
            killed = host.script("converge", LOCATION, KILL_AT=command, KILL_WHEN=when)
            # What lets go of the old server is a process of its own.
            assert killed.returncode != 0, (command, when, killed.stderr)
            host.converge()
            assert host.serves(wanted), (command, when, host.containers())
            assert calls.errors == [], (command, when)
        assert host.converge() == {}
    # One server after the other: whoever has handed over never answers again.
    answered = list(dict.fromkeys(calls.answers))
    assert len(answered) >= len(MOMENTS)
    assert [each for each, _ in _runs(calls.answers)] == answered


@pytest.mark.parametrize(
    ("image", "changes", "reason"),
    [
        pytest.param(
            "broken", {}, "stopped. Its last lines:(?s:.*)a_module_that_nobody_installed", id="import"
        ),
        pytest.param(
            "second",
            {"arguments": ["-m", "no_such_module"]},
            "stopped. Its last lines:(?s:.*)No module named 'no_such_module'",
            id="wrong module",
        ),
        pytest.param("hanging", {"start_seconds": 5}, "did not answer within 5 seconds", id="hangs"),
        pytest.param("absent", {}, "Image .*:absent of location .* is not on this host", id="no such image"),
    ],
)
def test_an_image_that_does_not_serve_leaves_the_old_one_serving(
    host: Host, images: dict[str, str], image: str, changes: dict[str, Any], reason: str
) -> None:
    host.want(images["first"])
    host.converge()
    serving = host.containers()
    with host.constant_calls() as calls:
        host.want(images.get(image, f"{images['first'].partition(':')[0]}:absent"), **changes)
        failed = host.script("converge", LOCATION)
        assert failed.returncode == 1
        assert re.search(reason, failed.stderr), failed.stderr
        assert 'Traceback (most recent call last):\n  File "/usr' not in failed.stderr.partition("lines:")[0]
    assert calls.errors == []
    assert len(set(calls.answers)) == 1
    assert host.containers() == serving


def test_a_call_that_is_being_answered_is_finished_by_the_old_server(
    host: Host, images: dict[str, str]
) -> None:
    host.want(images["first"])
    host.converge()
    client = DagsterGrpcClient(host="127.0.0.1", port=host.front)
    numbers, half_way, go_on = [], threading.Event(), threading.Event()

    def listen() -> None:
        # More than what fits between the two: the server is still at it while nobody reads.
        for answer in client.streaming_ping(sequence_length=400, echo="x" * 100_000):
            numbers.append(answer["sequence_number"])
            if len(numbers) == 20:
                half_way.set()
                go_on.wait(60)

    listener = threading.Thread(target=listen)
    listener.start()
    assert half_way.wait(30)
    host.want(images["second"])
    exchange = threading.Thread(target=host.converge)
    exchange.start()
    while "green" not in host.slots():
        assert exchange.is_alive()
    # Both work: the old server for whoever is connected to it.
    assert len(host.containers()) == 2
    go_on.set()
    listener.join(60)
    exchange.join(60)
    assert numbers == list(range(400))
    assert host.serves(images["second"])


def test_a_switch_keeps_the_old_server_until_it_is_finished(host: Host, images: dict[str, str]) -> None:
    host.want(images["first"])
    host.converge()
    client = DagsterGrpcClient(host="127.0.0.1", port=host.front)
    old = client.get_server_id()
    switched = host.script("switch", LOCATION, images["second"])
    told = json.loads(switched.stdout)
    assert (told["changed"], told["server"]) == (["image"], client.get_server_id())
    assert told["version"].startswith("sha256:")
    assert told["version"] != told["before"]
    assert host.wanted["image"] == images["second"]
    assert len(host.containers()) == 2
    # The same command again finds nothing to do: an operator who was killed types it again.
    assert json.loads(host.script("switch", LOCATION, images["second"]).stdout)["changed"] == []
    # The one that waits serves again, and nothing has to be started for that.
    assert json.loads(host.script("switch", LOCATION, images["first"]).stdout)["server"] == old
    host.script("finish", LOCATION)
    assert host.serves(images["first"])
    assert client.get_server_id() == old


def test_back_serves_from_the_old_server_as_if_nothing_had_been(host: Host, images: dict[str, str]) -> None:
    host.want(images["first"])
    host.converge()
    wanted = host.wanted
    client = DagsterGrpcClient(host="127.0.0.1", port=host.front)
    old = client.get_server_id()
    with host.constant_calls() as calls:
        host.script("switch", LOCATION, images["second"])
        back = host.script("back", LOCATION)
        assert back.returncode == 0, back.stderr
        assert "Started Dagster code server" in json.loads(back.stdout)[LOCATION]
        assert client.get_server_id() == old
        assert host.serves(images["first"])
        # Where nobody waits there is no way back, and nothing to do.
        assert json.loads(host.script("back", LOCATION).stdout) == {}
    assert calls.errors == []
    assert host.wanted == wanted
    assert host.converge() == {}


def test_a_server_that_lingers_is_no_way_back(host: Host, images: dict[str, str]) -> None:
    host.want(images["first"])
    host.converge()
    host.script("switch", LOCATION, images["second"])
    host.script("finish", LOCATION, LINGER="1")
    assert len(host.containers()) == 2
    # The next deploy fails before it has a server of its own: what is undone is that, not the one before.
    absent = f"{images['first'].partition(':')[0]}:absent"
    assert host.script("start", LOCATION, absent).returncode == 1
    assert json.loads(host.script("back", LOCATION).stdout) == {}
    assert host.serves(images["second"])


def test_an_old_image_goes_when_it_is_neither_among_the_last_nor_young(
    host: Host, images: dict[str, str]
) -> None:
    tags = {number: f"{images['first']}-{number}" for number in range(3)}
    for number in range(3):
        _docker("tag", images["first"], tags[number])
        host.want(tags[number], keep=2, keep_days=0 if number == 2 else 30)
        host.converge()
        if number == 1:
            assert _present(tags) == [0, 1]
    assert _present(tags) == [1, 2]
    for tag in tags.values():
        _docker("image", "rm", "--force", tag)


def test_a_pull_that_hangs_is_given_up_and_touches_nothing(host: Host) -> None:
    with socket.socket() as registry:
        registry.bind(("127.0.0.1", 0))
        registry.listen()
        reference = f"127.0.0.1:{registry.getsockname()[1]}/etl:1"
        failed = host.script("fetch", reference, "3")
    assert failed.returncode == 1
    assert failed.stderr == f"Pulling {reference} took longer than 3 seconds\n"


def test_a_name_that_moved_stands_again_for_what_a_release_had(host: Host, images: dict[str, str]) -> None:
    tag = f"{images['first']}-moving"
    _docker("tag", images["first"], tag)
    host.want(tag)
    host.converge()
    released = json.loads(host.script("switch", LOCATION, tag).stdout)["version"]
    _docker("tag", images["second"], tag)
    assert host.converge() == {LOCATION: [f"the content of image {tag}"]}
    assert json.loads(host.script("start", LOCATION, tag, released).stdout)["changed"]
    assert json.loads(host.script("switch", LOCATION, tag).stdout)["version"] == released
    gone = "sha256:" + "0" * 64
    refused = host.script("start", LOCATION, tag, gone)
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        f"{tag} stands for another image now than it did when it served {LOCATION}"
    )
    _docker("image", "rm", "--force", tag)


def test_a_full_disk_of_the_host_leaves_the_old_one_serving(host: Host, images: dict[str, str]) -> None:
    host.want(images["first"])
    host.converge()
    with host.constant_calls() as calls, host.full_disk():
        failed = host.script("switch", LOCATION, images["second"])
        assert failed.returncode == 1
        assert re.fullmatch(r"\S+ cannot be written: No space left on device\n", failed.stderr)
    assert calls.errors == []
    assert len(set(calls.answers)) == 1
    assert host.wanted["image"] == images["first"]
    # With room again, the same command goes on.
    assert json.loads(host.script("switch", LOCATION, images["second"]).stdout)["changed"] == ["image"]


def test_a_location_that_leaves_leaves_nothing(host: Host, images: dict[str, str]) -> None:
    host.want(images["first"])
    host.converge()
    assert host.script("remove", LOCATION).returncode == 0
    assert host.containers() == {}
    assert list((host.root / "etc/dagfleet/code-servers").iterdir()) == []
    assert (host.root / "etc/dagfleet/slots.map").read_text() == ""


def _runs(answers: list[str]) -> list[tuple[str, int]]:
    """Return each server with how often it answered in a row."""
    found: list[tuple[str, int]] = []
    for each in answers:
        last = found[-1] if found and found[-1][0] == each else None
        found = [*found[:-1], (each, last[1] + 1)] if last else [*found, (each, 1)]
    return found


def _docker(*arguments: str) -> int:
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True)
    return done.returncode


def _present(tags: dict[int, str]) -> list[int]:
    return [number for number, tag in tags.items() if _docker("image", "inspect", tag) == 0]
