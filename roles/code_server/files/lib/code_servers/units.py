"""Code servers as systemd units, for hosts without Docker: dagfleet-location-NAME@blue.service and @green.

A unit's file is to it what labels are to a container: systemd passes over a section whose name begins with
X-. A release is a virtual environment of its own, and a server's runs are its children.
"""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import uuid
from pathlib import Path

from code_servers.host import PROGRAM, ROOT, SECRETS, Failed, Specification, run, secrets_written, write
from code_servers.ports import require_free
from code_servers.server import Server, label
from code_servers.slots import port_of

UNITS = ROOT / "etc/systemd/system"
AT_BOOT = UNITS / "multi-user.target.wants"
# What is here is forgotten at a boot, and so is a server that was about to end.
DROP_INS = ROOT / "run/systemd/system"
RELEASES = ROOT / "opt/dagfleet/locations"
HOME = "/var/lib/dagfleet/dagster_home"
LOG_LINES = "30"

UNIT = """\
# Written by Dagfleet (code-server).
[Unit]
Description=Dagster code location {location} ({slot})
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
User=dagfleet
Group=dagfleet
WorkingDirectory={release}
EnvironmentFile={secrets}/environment
# As root (+), to be able to name who holds the port.
ExecStartPre=+{program} free {port}
ExecStart={release}/venv/bin/dagster api grpc -h 127.0.0.1 -p {port} {arguments}
Restart=always
RestartSec=5

# Runs are children of the code server. Told to end, it takes no new ones and ends with the last of them.
# When it has to stop, as for a reboot, those that take longer are told so and report that they failed.
# One that has ended by itself has no process to tell.
ExecStop=/bin/sh -c 'test -z "$MAINPID" || kill -TERM "$MAINPID"'
ExecStop=-/usr/bin/timeout {stop_seconds} /usr/bin/tail --pid=$MAINPID -f /dev/null
TimeoutStopSec={stop_limit}
KillMode=control-group

NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths={writable}
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
UMask=0077

[Install]
WantedBy=multi-user.target

[X-Dagfleet]
Specification={label}
Environment={environment}
Made={made}
"""
ENDING = """\
# Written by Dagfleet (code-server): it ends with its last run.
[Service]
Restart=no
"""


class Units:
    """What systemd does for locations."""

    made_of = ("arguments", "port", "release", "stop_seconds", "writable_paths")
    version_key = "release"
    patience = math.inf

    def servers(self, location: str) -> list[Server]:
        """Return a location's units; one without a slot is from before there were any, and on blue's port."""
        names = {slot: f"{_named(location)}@{slot}.service" for slot in ("blue", "green")}
        there = [(slot, name) for slot, name in names.items() if (UNITS / name).exists()]
        before = _named(location) + ".service"
        if (UNITS / before).exists():
            there.append(("blue", before))
        return [_server(slot, name) for slot, name in there]

    def version(self, location: str, reference: str) -> str:
        """Return a release that is installed, or an empty text."""
        return reference if (RELEASES / location / reference / "complete").exists() else ""

    def require(self, location: str, specification: Specification) -> None:
        """Raise Failed unless the release is installed: only the operator can bring it."""
        if not self.version(location, specification["release"]):
            raise Failed(
                f"Release {specification['release']} of location {location} is not on this host; "
                f"bring it: dagfleet deploy {location}"
            )

    def hold(self, location: str, reference: str, version: str) -> None:
        """Find nothing to do: a release is named by its content."""

    def start(self, location: str, specification: Specification, slot: str) -> Server:
        """Write the slot's unit and start it."""
        require_free(port_of(specification, slot))
        name = f"{_named(location)}@{slot}.service"
        write(UNITS / name, unit(location, specification, slot), 0o644)
        systemctl("daemon-reload")
        # Why it could not be started is in its journal.
        with contextlib.suppress(Failed):
            systemctl("start", name)
        return _server(slot, name)

    def stumbled(self, server: Server) -> bool:
        """Tell whether the unit has ended, or systemd has started it again."""
        return _properties(server.name, "ActiveState", "NRestarts") != ["active", "0"]

    def check(self, location: str, server: Server, specification: Specification) -> None:
        """Find nothing: its packages were collected with the fleet's own."""

    def promote(self, location: str, server: Server) -> None:
        """Start it at boot, too."""
        del location
        link = AT_BOOT / server.name
        if not link.is_symlink():
            AT_BOOT.mkdir(exist_ok=True)
            link.symlink_to(UNITS / server.name)
        server.served = True

    def last_lines(self, server: Server) -> str:
        """Return the end of its journal."""
        return run("journalctl", "--unit", server.name, "--lines", LOG_LINES, "--no-pager", "--output=cat")

    def leave_down(self, server: Server) -> None:
        """Have systemd not start it again, now or at boot."""
        (AT_BOOT / server.name).unlink(missing_ok=True)
        write(DROP_INS / (server.name + ".d") / "ending.conf", ENDING, 0o644)
        systemctl("daemon-reload")

    def ended(self, server: Server) -> bool:
        """Tell whether it is gone for good, or another one is in its slot."""
        if not (UNITS / server.name).exists() or _server(server.slot, server.name).id != server.id:
            return True
        return _properties(server.name, "ActiveState") in (["inactive"], ["failed"])

    def remove(self, server: Server) -> None:
        """Stop it, and remove its file and whatever else names it."""
        if not server.served:
            with contextlib.suppress(Failed):
                systemctl("kill", "--signal=KILL", server.name)
        with contextlib.suppress(Failed):
            systemctl("stop", server.name)
        (AT_BOOT / server.name).unlink(missing_ok=True)
        (UNITS / server.name).unlink(missing_ok=True)
        shutil.rmtree(DROP_INS / (server.name + ".d"), ignore_errors=True)
        systemctl("daemon-reload")
        with contextlib.suppress(Failed):
            systemctl("reset-failed", server.name)

    def discard(self, location: str, reference: str, version: str) -> None:
        """Remove a release from the disk."""
        del version
        if reference in {each.version for each in self.servers(location)}:
            raise Failed(f"Release {reference} of location {location} is in use")
        shutil.rmtree(RELEASES / location / reference, ignore_errors=True)


def systemctl(*arguments: str) -> str:
    """Return what systemctl prints; raise Failed with it."""
    return run("systemctl", *arguments)


def unit(location: str, specification: Specification, slot: str) -> str:
    """Return the text of a slot's unit."""
    stop = int(specification["stop_seconds"])
    return UNIT.format(
        location=location,
        slot=slot,
        release=RELEASES / location / specification["release"],
        secrets=SECRETS / location,
        program=PROGRAM,
        port=port_of(specification, slot),
        arguments=" ".join(map(_quoted, specification["arguments"])),
        stop_seconds=stop,
        stop_limit=stop + 30,
        writable=" ".join([HOME, *specification["writable_paths"]]),
        label=label(Units(), specification),
        environment=secrets_written(location),
        made=uuid.uuid4().hex,
    )


def _quoted(argument: str) -> str:
    """Return an argument as ExecStart= means it."""
    escaped = re.sub(r'([\\"])', r"\\\1", argument).replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _named(location: str) -> str:
    return "dagfleet-location-" + location


def _server(slot: str, name: str) -> Server:
    [state] = _properties(name, "ActiveState")
    text = (UNITS / name).read_text(encoding="utf-8")
    ending = (DROP_INS / (name + ".d") / "ending.conf").exists()
    port = re.search(r"^ExecStart=.* -p (\d+) ", text, re.MULTILINE)
    return Server(
        name=name,
        id=_setting(text, "Made") or name,
        slot=slot,
        port=int(port[1]) if port else 0,
        version=_release(name).name,
        label=_setting(text, "Specification"),
        environment=_setting(text, "Environment"),
        state=state,
        running=state == "active",
        # One that ends is not started at boot any more.
        served=ending or (AT_BOOT / name).is_symlink(),
        ending=ending,
    )


def _release(name: str) -> Path:
    return Path(_setting((UNITS / name).read_text(encoding="utf-8"), "WorkingDirectory"))


def _setting(text: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", text, re.MULTILINE)
    return found[1] if found else ""


def _properties(name: str, *wanted: str) -> list[str]:
    """Return properties of a unit in this order."""
    text = systemctl("show", "--property=" + ",".join(wanted), name)
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return [found.get(key, "") for key in wanted]
