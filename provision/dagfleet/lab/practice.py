"""Bring the practice fleet of a fleet.yml up and take it down."""

import ipaddress
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import docker

from dagfleet.errors import DagfleetError
from dagfleet.fleet import FleetFile
from dagfleet.lab import engine, machine_image, machines

Progress = Callable[[str, float], None]
"""Called with the title of a finished step and the seconds that it took."""

WEB_PORT = 8443


def prepare(report: Progress) -> docker.DockerClient:
    """Make this machine able to run practice machines: an engine, the machines' image, the Python image."""
    from dagfleet.image import lab_base

    with _timed(report) as title:
        title.append(f"docker engine ({engine.ensure()})")
    client = engine.client()
    with _timed(report) as title:
        title.append("machine image, python image")
        engine.ensure_packages(mmdebstrap="mmdebstrap", ssh="openssh-client")
        # Each keeps one core busy for half a minute when it is made for the first time.
        with ThreadPoolExecutor() as pool:
            for made in [pool.submit(ensure, client) for ensure in (machine_image.ensure, lab_base.ensure)]:
                made.result()
    return client


def up(fleet_file: FleetFile, report: Progress, *, web_port: int | None = None) -> None:
    """Make every host of the fleet a practice machine, and build the images that its locations name.

    `web_port` publishes the control host's web UI on loopback. Hosts that are up already stay as they are.
    """
    fleet = fleet_file.fleet
    _refuse_real_hosts(fleet_file)
    client = prepare(report)
    _build_images(fleet_file, client, report)
    with _timed(report) as title:
        title.append(f"{len(fleet.hosts)} machines up: {' '.join(fleet.hosts)}")
        machines.up(
            machines.Lab(client=client, name=fleet.name, image=machine_image.reference()),
            [_machine(fleet_file, name, web_port) for name in fleet.hosts],
            public_key=machines.make_key(fleet_file.state / "lab" / "id_ed25519"),
            known_hosts=fleet_file.state / "known_hosts",
        )


def _machine(fleet_file: FleetFile, name: str, web_port: int | None) -> machines.Machine:
    control = fleet_file.fleet.control
    ports = {control.web.port: web_port} if web_port and name == control.host else {}
    return machines.Machine(name=name, address=str(fleet_file.fleet.hosts[name].address), ports=ports)


def down(fleet_file: FleetFile) -> int:
    """Remove the fleet's practice machines and network; return how many machines there were."""
    return machines.down(engine.client(), fleet_file.fleet.name)


def _refuse_real_hosts(fleet_file: FleetFile) -> None:
    for name, host in fleet_file.fleet.hosts.items():
        if not ipaddress.ip_address(str(host.address)).is_private:
            raise DagfleetError(
                f"{name} has the address {host.address}, which is not private: this is no practice fleet",
                fix="run `dagfleet lab` on a fleet.yml of its own; inventory/lab has one",
            )


def _build_images(fleet_file: FleetFile, client: docker.DockerClient, report: Progress) -> None:
    from dagfleet.image import build_location

    fleet = fleet_file.fleet
    for name, location in fleet.locations.items():
        folder = fleet_file.directory / "locations" / name
        if location.image is not None and folder.is_dir():
            with _timed(report) as title:
                title.append(f"image of {name}")
                build_location(
                    folder, location.image, client, base=fleet.images.base, dagster=fleet.dagster.version
                )


@contextmanager
def _timed(report: Progress) -> Iterator[list[str]]:
    started, title = time.monotonic(), list[str]()
    yield title
    report(title[0], time.monotonic() - started)
