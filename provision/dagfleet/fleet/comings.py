"""Which hosts may come into a fleet and leave it, and what its file says then."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dagfleet.errors import ConfigurationError
from dagfleet.fleet.editing import with_control, with_host, with_image, with_values, without_host
from dagfleet.fleet.loading import FleetFile, parse_fleet
from dagfleet.fleet.mistakes import did_you_mean
from dagfleet.fleet.model import Ssh


def coming(
    fleet_file: FleetFile,
    text: str,
    name: str,
    *,
    address: str,
    ssh: Mapping[str, Any],
    locations: Sequence[str] = (),
    max_runs: int | None = None,
    labels: Sequence[str] = (),
    process: bool = False,
    python: str | None = None,
) -> tuple[str, FleetFile]:
    """Return the file's text with the new host, and the fleet that it describes.

    What `ssh` leaves open is as on the control host. Raises ConfigurationError, FleetFileError with all
    problems of the new text.
    """
    fleet = fleet_file.fleet
    if fleet_file.contract:
        raise ConfigurationError(
            f"the hosts of {fleet.name} come from Terraform ({fleet.terraform})",
            fix=f"add {name} there: terraform apply, then dagfleet apply",
        )
    if name in fleet.hosts:
        raise ConfigurationError(
            f"host {name} is in {fleet_file.path.name} already",
            fix="dagfleet apply sets it up; to change it, edit the file",
        )
    for location in locations:
        if location not in fleet.locations:
            hint = did_you_mean(location, [*fleet.locations])
            raise ConfigurationError(f'no location is named "{location}"', fix=hint)
    usual = fleet.hosts[fleet.control.host].ssh.model_dump(mode="json")
    given = {key: value for key, value in ssh.items() if value is not None}
    values: dict[str, Any] = {"address": address}
    standard = {key: field.default for key, field in Ssh.model_fields.items()}
    if login := {key: value for key, value in {**usual, **given}.items() if value != standard[key]}:
        values["ssh"] = login
    if process:
        values["docker"] = "none"
    if python is not None:
        values["python"] = python
    if max_runs is not None:
        values["max_runs"] = max_runs
    if labels:
        values["labels"] = dict(_label(each) for each in labels)
    changed = with_host(text, name, values, locations=locations)
    return changed, FleetFile(
        fleet_file.path, parse_fleet(changed, name=f"{fleet_file.path.name} with {name}")
    )


def leaving(fleet_file: FleetFile, text: str, name: str) -> tuple[str, FleetFile]:
    """Return the file's text without the host, and the fleet that it describes.

    Raises ConfigurationError where the fleet cannot do without it.
    """
    fleet = fleet_file.fleet
    if name == fleet.control.host:
        raise ConfigurationError(
            f"{name} is the control host: without it there is no fleet",
            fix="to take everything down: dagfleet destroy",
        )
    alone = [
        location for location in fleet.locations_on(name) if set(fleet.locations[location].hosts) == {name}
    ]
    if alone:
        keys = ", ".join(f"locations.{location}" for location in alone)
        raise ConfigurationError(
            f"{name} is the only host of {', '.join(alone)}",
            fix=f"give {keys} another host in {fleet_file.path.name}, or take it out, then dagfleet apply",
        )
    contract = json.loads(fleet_file.contract)["fleet"] if fleet_file.contract else {}
    if name in contract.get("hosts", {}):
        raise ConfigurationError(
            f"host {name} comes from Terraform ({fleet.terraform})",
            fix=f"pause it (dagfleet queue pause host {name}), take it out there, then dagfleet apply",
        )
    changed = without_host(text, name)
    left = parse_fleet(changed, name=f"{fleet_file.path.name} without {name}", ask=lambda _: contract)
    return changed, FleetFile(fleet_file.path, left, contract=fleet_file.contract)


def taking_over(fleet_file: FleetFile, text: str) -> tuple[str, FleetFile]:
    """Return the file's text in which the standby is the control host, and the fleet that it describes.

    Raises ConfigurationError where there is no standby, or where the file cannot be written.
    """
    standby = fleet_file.fleet.control.standby
    if standby is None:
        raise ConfigurationError(
            f"{fleet_file.path.name} names no standby, so nothing is ready to take over",
            fix="while the control host lives: control.standby: HOST, then dagfleet apply. If it is lost: "
            "write another into control.host, then dagfleet backup restore FILE",
        )
    changed = with_control(text, standby)
    contract = json.loads(fleet_file.contract)["fleet"] if fleet_file.contract else {}
    parsed = parse_fleet(changed, name=f"{fleet_file.path.name} after a failover", ask=lambda _: contract)
    return changed, FleetFile(fleet_file.path, parsed, contract=fleet_file.contract)


def with_other_image(fleet_file: FleetFile, location: str, image: str) -> tuple[str, FleetFile]:
    """Return the file's text in which a location has this image, and the fleet that it describes."""
    text = fleet_file.path.read_text(encoding="utf-8")
    changed = with_image(text, location, image)
    contract = json.loads(fleet_file.contract)["fleet"] if fleet_file.contract else {}
    parsed = parse_fleet(changed, name=f"{fleet_file.path.name} with {image}", ask=lambda _: contract)
    return changed, FleetFile(fleet_file.path, parsed, contract=fleet_file.contract)


def with_other_dagster(
    fleet_file: FleetFile, version: str, *, images: Mapping[str, str], control_image: str | None, beside: str
) -> tuple[str, FleetFile]:
    """Return the file's text with another Dagster and locations' images for it, and the fleet so described.

    That fleet's file is one named `beside` in the same folder, where all its paths mean the same.
    """
    for name in images:
        if name not in fleet_file.fleet.locations:
            hint = did_you_mean(name, [*fleet_file.fleet.locations])
            raise ConfigurationError(f'no location is named "{name}"', fix=hint)
        if fleet_file.fleet.locations[name].image is None:
            raise ConfigurationError(
                f"location {name} runs as a process and has no image",
                fix="its requirements say which Dagster it has",
            )
    if control_image and fleet_file.fleet.control.image is None:
        raise ConfigurationError(
            "the control plane has the image that Dagfleet builds", fix="leave --control-image out"
        )
    values: dict[tuple[str, ...], str] = {
        ("dagster", "version"): version,
        **{("locations", name, "image"): image for name, image in images.items()},
        **({("control", "image"): control_image} if control_image else {}),
    }
    changed = with_values(fleet_file.path.read_text(encoding="utf-8"), values)
    contract = json.loads(fleet_file.contract)["fleet"] if fleet_file.contract else {}
    parsed = parse_fleet(
        changed, name=f"{fleet_file.path.name} with Dagster {version}", ask=lambda _: contract
    )
    return changed, FleetFile(fleet_file.directory / beside, parsed, contract=fleet_file.contract)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ConfigurationError(f'"{text}" is no label', fix="write KEY=VALUE, such as --label gpu=true")
    return key, value
