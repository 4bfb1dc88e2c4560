"""Which hosts an apply may pass over: made from the same inputs before, and untouched since."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dagfleet.derive.docker_ssh import over_ssh
from dagfleet.derive.host_vars import host_vars
from dagfleet.derive.inputs import inputs
from dagfleet.image import artifacts
from dagfleet.paths import bundle
from dagfleet.probe.report import HostReport

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


def seals(fleet_file: "FleetFile", hosts: Sequence[str], secrets: Mapping[str, str]) -> dict[str, str]:
    """Return, per host, a hash of what an apply makes it from: fleet.yml, secrets, certificates, roles."""
    built = artifacts(fleet_file)
    common = dict(_common(fleet_file))
    return {
        host: inputs(
            host_vars(fleet_file.fleet, host, built),
            secrets=secrets,
            files={
                **common,
                **dict(_files(fleet_file.state / "pki" / "leaves" / host, "*.crt")),
                **(_launchers(fleet_file) if host == fleet_file.fleet.control.host else {}),
            },
        )
        for host in hosts
    }


def settled(reports: Mapping[str, HostReport], wanted: Mapping[str, str]) -> list[str]:
    """Return the hosts that are as an apply with these seals would leave them."""
    return [host for host, report in reports.items() if report.as_left(wanted.get(host, ""))]


def _common(fleet_file: "FleetFile") -> Iterator[tuple[str, bytes]]:
    """Yield what goes to every host: roles, plays, authorities' public files, Ansible's own variables."""
    for folder in ("roles", "playbooks"):
        yield from _files(bundle() / folder, "**/*")
    for authority in ("docker", "mesh"):
        for pattern in ("*.crt", "*.crl", "*.pem"):
            yield from _files(fleet_file.state / "pki" / authority, pattern)
    yield from _files(fleet_file.state / "pki" / "ssh", "*.pub")
    for folder in ("host_vars", "group_vars"):
        yield from _files(fleet_file.directory / folder, "**/*")


def _launchers(fleet_file: "FleetFile") -> dict[str, bytes]:
    """Return the keys of hosts by which the launcher knows them, where it comes to them by SSH."""
    return dict(_files(fleet_file.state, "known_hosts")) if over_ssh(fleet_file.fleet) else {}


def _files(folder: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    for file in folder.glob(pattern):
        if file.is_file() and file.suffix != ".pyc":
            yield f"{folder.name}/{file.relative_to(folder)}", file.read_bytes()
