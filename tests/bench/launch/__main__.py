"""What a launch costs, beside the Docker API itself and other launchers; QUICK=1 takes about two minutes.

All speak to this machine's dockerd through the same proxy with mutual TLS. They take turns launch by launch,
so that whatever else the machine does meets all of them alike; the last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, median_high
from typing import Any

from docker import APIClient

from tests.bench.launch import environments
from tests.bench.launch.contender import PREFIX
from tests.bench.launch.endpoints import Endpoints, endpoints
from tests.bench.launch.run_start import launch_to_started
from tests.docker.launcher import tiny_image

QUICK = bool(os.environ.get("QUICK"))
OTHERS = (0, 20, 60)
LAUNCHES = 4 if QUICK else 15  # a contender and number of others; an odd one out does not move the median
STARTS = 1 if QUICK else 5
PATIENCE = 8 if QUICK else 30  # seconds after which a launch on the dark host counts as blocked
HEALTH_CHECKS = 100
HOSTS = 4  # the last one is dark
_LOADING = 8  # seconds that an instance may take to load before the wait counts


@dataclass
class Process:
    """A contender's process, spoken to in lines of JSON."""

    kind: str
    popen: subprocess.Popen[str]
    seconds: dict[int, list[float]] = field(default_factory=dict)
    calls: dict[int, float] = field(default_factory=dict)

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order and return the answer; empty if it has none."""
        assert self.popen.stdin
        assert self.popen.stdout
        if order:
            self.popen.stdin.write(json.dumps(order) + "\n")
            self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        return dict(json.loads(line)) if line else {}


@contextmanager
def contending(kind: str, python: str, settings: dict[str, Any]) -> Iterator[Process]:
    """Start a contender with a home of its own."""
    with tempfile.TemporaryDirectory(prefix="dagfleet-bench-") as home:
        settings_file = Path(home) / "settings.json"
        settings_file.write_text(json.dumps({**settings, "home": f"{home}/dagster"}))
        environment = {
            **{key: value for key, value in os.environ.items() if not key.endswith("_CA_BUNDLE")},
            "PYTHONPATH": str(environments.ROOT),
            "DOCKER_HOST": f"tcp://127.0.0.1:{settings['ports'][0]}",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": settings["certificates"],
        }
        command = [python, "-m", "tests.bench.launch.contender", kind, str(settings_file)]
        with subprocess.Popen(
            command,
            env=environment,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as popen:
            try:
                yield Process(kind, popen)
            finally:
                popen.kill()


def compare(docker: APIClient, found: Endpoints, image: str, reference: str) -> list[Process]:
    """Let the contenders launch in turns beside 0, 20 and 60 other containers."""
    settings = _settings(found, image, found.ports[:1])
    pythons = {
        "raw": environments.OURS,
        "DockerRunLauncher": environments.OURS,
        "reference": reference,
        "ours": environments.OURS,
    }
    kinds = {"DockerRunLauncher": "docker"}
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(contending(kinds.get(name, name), python, settings))
            for name, python in pythons.items()
        ]
        for one, name in zip(contenders, pythons, strict=True):
            assert one.ask(), f"{name} does not load"
            one.kind = name
            one.ask(do="launch", location="location0")  # the first launch agrees on versions and warms up
        for others in OTHERS:
            more = others - len(_containers(docker, "other"))
            for _ in range(more):
                _other(docker, image)
            _turns(docker, contenders, others)
    return contenders


def _turns(docker: APIClient, contenders: list[Process], others: int) -> None:
    seconds: dict[str, list[float]] = {one.kind: [] for one in contenders}
    calls: dict[str, list[int]] = {one.kind: [] for one in contenders}
    for turn in range(LAUNCHES):
        order = contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]
        for one in order:
            answer = one.ask(do="launch", location="location0")
            assert "error" not in answer, f"{one.kind}: {answer}"
            seconds[one.kind].append(answer["seconds"])
            calls[one.kind].append(answer["calls"])
            one.ask(do="forget")
            _remove(docker, _launched(docker))
    for one in contenders:
        one.seconds[others] = seconds[one.kind]
        one.calls[others] = median_high(calls[one.kind])


def health(docker: APIClient, found: Endpoints, image: str) -> float:
    """Return the seconds that ours takes for the health of 100 runs."""
    settings = _settings(found, image, found.ports[:1])
    with contending("ours", environments.OURS, settings) as ours:
        assert ours.ask()
        for _ in range(4 if QUICK else 20):
            ours.ask(do="launch", location="location0")
        seconds = float(ours.ask(do="health", times=HEALTH_CHECKS)["seconds"])
    _remove(docker, _launched(docker))
    return seconds


def dark(docker: APIClient, found: Endpoints, image: str) -> dict[str, float]:
    """Return what launches of ours take with four hosts of which one is dark, in seconds.

    `alone`: on the other hosts. `beside`: there too, while another thread launches on the dark one.
    """
    settings = _settings(found, image, (*found.ports, found.dark_port))
    with contending("ours", environments.OURS, settings) as one:
        assert one.ask(), "a dark host must not keep the instance from loading"
        for number in range(HOSTS - 1):
            one.ask(do="launch", location=f"location{number}")
        alone, beside = [], []
        for turn in range(2 * LAUNCHES):
            location = f"location{turn % (HOSTS - 1)}"
            alone.append(one.ask(do="launch", location=location)["seconds"])
            beside.append(one.ask(do="beside", location=location, dark="location3", times=1)["seconds"])
            one.ask(do="forget")
            _remove(docker, _launched(docker))
        on_dark = one.ask(do="launch", location="location3")["seconds"]
    _remove(docker, _launched(docker))
    return {"alone": median(alone), "beside": median(beside), "on the dark one, again": on_dark}


class Blocked(threading.Thread):
    """Another launcher that launches on a dark host, which may take it minutes or never succeed."""

    def __init__(self, one: Process) -> None:
        super().__init__(daemon=True)
        self._one = one
        self._outcome = ""

    def run(self) -> None:
        """Load and launch."""
        began = time.monotonic()
        with suppress(OSError, ValueError):  # its process is ended when nobody waits any more
            loaded = self._one.ask()
            answer = self._one.ask(do="launch", location=f"location{HOSTS - 1}") if loaded else {}
            if answer or not loaded:
                ends = "" if loaded else ", and then the instance does not load"
                self._outcome = f"{answer.get('seconds', time.monotonic() - began):.1f} s{ends}"

    def told(self, deadline: float) -> str:
        """Wait until then, as `time.monotonic` counts, and say how long the launch took."""
        self.join(max(0.0, deadline - time.monotonic()))
        return self._outcome or f">= {PATIENCE} s"


@contextmanager
def blocked(found: Endpoints, image: str, reference: str) -> Iterator[Callable[[], dict[str, str]]]:
    """Have the other launchers launch on a dark host meanwhile; yield what says how long that took them.

    The daemon that launches can do nothing else in that time. `DockerRunLauncher` knows one host only.
    """
    alone = {**_settings(found, image, (found.dark_port,)), "ports": (found.dark_port,)}
    four = _settings(found, image, (*found.ports, found.dark_port))
    with (
        contending("docker", environments.OURS, alone) as stock,
        contending("reference", reference, four) as other,
    ):
        waiting = {"DockerRunLauncher": Blocked(stock), "reference": Blocked(other)}
        for thread in waiting.values():
            thread.start()
        deadline = time.monotonic() + _LOADING + PATIENCE
        yield lambda: {name: thread.told(deadline) for name, thread in waiting.items()}


def _settings(found: Endpoints, image: str, hosts: tuple[int, ...]) -> dict[str, Any]:
    return {"ports": found.ports, "all_ports": hosts, "certificates": str(found.certificates), "image": image}


def _containers(docker: APIClient, label: str) -> list[str]:
    return [each["Id"] for each in docker.containers(all=True, filters={"label": f"{PREFIX}/{label}"})]


def _launched(docker: APIClient) -> list[str]:
    return _containers(docker, "managed")


def _other(docker: APIClient, image: str) -> None:
    container = docker.create_container(
        image,
        command=["sleep", "3600"],
        labels={f"{PREFIX}/other": "true"},
        host_config=docker.create_host_config(network_mode="none"),
    )
    docker.start(container["Id"])


def _remove(docker: APIClient, ids: list[str]) -> None:
    for container_id in ids:
        docker.remove_container(container_id, force=True, v=True)


def main() -> None:
    """Measure, and print a table and the line of JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind then either
    reference = environments.reference()
    docker = APIClient(base_url="unix:///var/run/docker.sock", version="1.41", timeout=120)
    image = tiny_image.ensure(docker)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="dagfleet-bench-") as folder,
            endpoints(Path(folder), HOSTS - 1) as found,
        ):
            contenders = compare(docker, found, image, reference)
            _remove(docker, _containers(docker, "other"))
            checks = health(docker, found, image)
            with blocked(found, image, reference) as told:
                silence = dark(docker, found, image)
                waits = told()
        started = launch_to_started(image, STARTS)
    finally:
        _remove(docker, [*_launched(docker), *_containers(docker, "other")])
        docker.close()
    report(contenders, checks, silence, waits, started)


def report(
    contenders: list[Process],
    checks: float,
    silence: dict[str, float],
    waits: dict[str, str],
    started: float,
) -> None:
    """Print what was found."""
    print(f"{f'launch, median of {LAUNCHES}':30}" + "".join(f"{n:>5} others  calls" for n in OTHERS))
    for one in contenders:
        cells = (f"{median(one.seconds[n]) * 1000:>9.0f} ms {one.calls[n]:>6.0f}" for n in OTHERS)
        print(f"{one.kind:30}" + "".join(cells))
    told = ", ".join(f"{what} {seconds * 1000:.0f} ms" for what, seconds in silence.items())
    print(f"{'ours, four hosts, one dark':30}{told}")
    for name, waited in waits.items():
        print(f"{f'{name}, dark host':30}a launch on it, and so the queue, is held up {waited}")
    print(f"{'ours, health of 100 runs':30}{checks * 1000:.0f} ms")
    print(f"{'ours, launch to STARTED':30}{started * 1000:.0f} ms")
    raw, stock, reference, ours = contenders
    figures = {
        "launch_vs_raw": round(_ratio(ours, raw, *OTHERS), 3),
        "launch_vs_docker": round(_ratio(ours, stock, *OTHERS), 3),
        "launch_vs_reference_60": round(_ratio(ours, reference, 60), 3),
        "api_calls_per_launch": max(ours.calls.values()),
        "others_delay_ms_one_dark_host": round((silence["beside"] - silence["alone"]) * 1000, 1),
        "health_100_runs_ms": round(checks * 1000),
        "run_start_ms": round(started * 1000),
    }
    print(json.dumps(figures))


def _ratio(ours: Process, other: Process, *others: int) -> float:
    """Return the median of ratios of two launches in the same turn: what slows one down slows the other."""
    return median(
        mine / theirs for n in others for mine, theirs in zip(ours.seconds[n], other.seconds[n], strict=True)
    )


if __name__ == "__main__":
    main()
