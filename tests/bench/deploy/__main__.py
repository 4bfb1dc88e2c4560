"""`make bench-deploy`: a changed layer sent to three hosts, deployed, rolled back. The last line is JSON.

Our push and plain `docker save | ssh docker load` take turns with images that no host has seen; deploys and
rollbacks happen under constant calls of the control plane. The hosts share one machine's cores: trust ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import IO

from dagfleet.derive.ports import location_ports
from dagfleet.fleet import load_fleet
from dagfleet.phases.images import send

from tests.bench.apply.fleets import Fleet
from tests.bench.report import spread, table

HOSTS = 3
CHUNK = 1 << 20
CHANGED_BYTES = 100_000
LOAD = Path(__file__).resolve().parents[2] / "e2e/load.py"
STOP = "/tmp/bench-stop"  # noqa: S108 -- in the container
Figures = dict[str, list[float]]


def main() -> None:
    """Measure, print tables, end with a line of JSON."""
    parser = argparse.ArgumentParser(prog="make bench-deploy", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    repetitions = parser.parse_args().repetitions
    with tempfile.TemporaryDirectory(prefix="dagfleet-bench-deploy-") as folder:
        fleet = Fleet(Path(folder) / "fleet", HOSTS + 1, name="bench-deploy")
        with fleet.machines(), _images(fleet.image, Path(folder)) as new_image:
            fleet.dagfleet("apply", "-y")
            print(f"{HOSTS} hosts serve the location", flush=True)
            pushes = _pushes(fleet, new_image, repetitions)
            deploys, lost = _deploys(fleet, new_image, repetitions)
    _print(pushes, deploys, lost, repetitions)


def _print(pushes: Figures, deploys: Figures, lost: int, repetitions: int) -> None:
    figures = {
        "push_bytes_ratio": median(pushes["our bytes"]) / median(pushes["plain bytes"]),
        "push_time_ratio": median(pushes["our seconds"]) / median(pushes["plain seconds"]),
        "deploy_s": median(deploys["deploy"]),
        "rollback_s": median(deploys["rollback"]),
    }
    rows = [
        ("dagfleet", spread(pushes["our seconds"]), spread(pushes["our bytes"], 1e-6, 3)),
        ("docker save | docker load", spread(pushes["plain seconds"]), spread(pushes["plain bytes"], 1e-6)),
    ]
    title = f"a changed layer of {CHANGED_BYTES / 1e6} MB to {HOSTS} hosts, medians of {repetitions}"
    print(table(title, ("", "seconds", "MB sent"), rows))
    rows = [(name, spread(seconds)) for name, seconds in deploys.items()]
    print(table(f"with constant calls, {lost} of which were lost", ("", "seconds"), rows))
    print(json.dumps({name: round(value, 5) for name, value in figures.items()} | {"calls_lost": lost}))


@contextmanager
def _images(base: str, folder: Path) -> Iterator[Callable[[], str]]:
    """Give a function that makes an image with a last layer of its own, and remove them all in the end."""
    made: list[str] = []

    def new() -> str:
        context = folder / f"image-{len(made)}"
        context.mkdir()
        (context / "changed").write_bytes(os.urandom(CHANGED_BYTES))
        (context / "Dockerfile").write_text(f"FROM {base}\nCOPY changed /changed\n")
        made.append(f"{base}-{len(made)}")
        build = ["docker", "build", "--quiet", "--tag", made[-1], str(context)]
        subprocess.run(build, check=True, capture_output=True)
        return made[-1]

    try:
        yield new
    finally:
        subprocess.run(["docker", "image", "rm", "--force", *made], check=False, capture_output=True)


def _pushes(fleet: Fleet, new_image: Callable[[], str], repetitions: int) -> Figures:
    found: Figures = defaultdict(list)
    fleet_file = load_fleet(fleet.folder / "fleet.yml")
    workers = list(fleet.hosts)[1:]
    for repetition in range(repetitions):
        image = new_image()
        began = time.monotonic()
        sent = send(fleet_file, {host: [image] for host in workers}, lambda _text: None)
        found["our seconds"].append(time.monotonic() - began)
        found["our bytes"].append(sum(each.results[image].bytes_sent for each in sent))
        image = new_image()
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            found["plain bytes"].append(sum(pool.map(partial(_plain, fleet, image), workers)))
        found["plain seconds"].append(time.monotonic() - began)
        print(f"push {repetition + 1}/{repetitions}", flush=True)
    return found


def _plain(fleet: Fleet, image: str, host: str) -> int:
    """Send an image as people do without a registry; return the bytes."""
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
        load = fleet.ssh(host, "sudo docker load --quiet")
        with subprocess.Popen(load, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as loaded:
            return _copied(saved.stdout, loaded.stdin)


def _copied(source: IO[bytes] | None, target: IO[bytes] | None) -> int:
    if source is None or target is None:
        raise ValueError("there is nothing to copy between")
    count = 0
    with target:
        while chunk := source.read(CHUNK):
            target.write(chunk)
            count += len(chunk)
    return count


def _deploys(fleet: Fleet, new_image: Callable[[], str], repetitions: int) -> tuple[Figures, int]:
    found: Figures = defaultdict(list)
    with _calls(fleet) as calls:
        for repetition in range(repetitions):
            image = new_image()
            found["deploy"].append(fleet.dagfleet("deploy", "etl", "--image", image))
            found["rollback"].append(fleet.dagfleet("rollback", "etl"))
            print(f"deploy {repetition + 1}/{repetitions}", flush=True)
    counts = json.loads(calls.result(timeout=60))
    for name, count in counts.items():
        print(f"{name}: {count['done']} calls, {len(count['failed'])} lost {count['failed'][:1] or ''}")
    return found, sum(len(count["failed"]) for count in counts.values())


@contextmanager
def _calls(fleet: Fleet) -> Iterator[Future[str]]:
    """Calls from the control plane's daemon, as its own, until the block ends."""
    port = location_ports(load_fleet(fleet.folder / "fleet.yml").fleet)["etl"]
    inside = ["sudo", "docker", "exec", "dagfleet-daemon"]

    def on_control(*command: str, text: str | None = None) -> str:
        line = shlex.join([*inside[:-1], *(["--interactive"] if text else []), inside[-1], *command])
        arguments = fleet.ssh("alpha", line)
        return subprocess.run(arguments, input=text, text=True, check=True, stdout=subprocess.PIPE).stdout

    with ThreadPoolExecutor(1) as pool:
        calls = pool.submit(on_control, "python", "-", STOP, str(port), text=LOAD.read_text())
        try:
            yield calls
        finally:
            on_control("touch", STOP)


if __name__ == "__main__":
    main()
