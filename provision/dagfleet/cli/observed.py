"""What `status` sees: hosts over SSH and the control plane over HTTPS, at the same time."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagfleet.cli.checked import role
from dagfleet.cli.terminal import Terminal
from dagfleet.control.connect import endpoint, plane
from dagfleet.control.plane import Daemon, LoadedLocation, QueueCounts
from dagfleet.control.queueing import Pause, RunQueue
from dagfleet.derive.registry import REGISTRY_UNIT, registry_name
from dagfleet.errors import EXIT_FAILED, EXIT_UNREACHABLE, DagfleetError
from dagfleet.fleet.values import secret_name
from dagfleet.phases.authorities import Store
from dagfleet.pki import inspect
from dagfleet.pki.rotation import Rotation
from dagfleet.pki.validity import Residue, residue
from dagfleet.probe.findings.certificates import leaves
from dagfleet.probe.report import HostReport
from dagfleet.probe.survey import Survey, survey
from dagfleet.probe.target import target
from dagfleet.probe.units import count, duration, size
from dagfleet.secrets import Secrets

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet, FleetFile


@dataclass(frozen=True)
class ControlPlane:
    """What the web server said, or why it did not."""

    locations: list[LoadedLocation] = field(default_factory=list)
    daemons: list[Daemon] = field(default_factory=list)
    queue: QueueCounts | None = None
    error: DagfleetError | None = None


@dataclass(frozen=True)
class Observed:
    """A fleet at one moment."""

    fleet: "Fleet"
    url: str
    hosts: Survey
    control: ControlPlane
    rotations: tuple[Rotation, ...] = ()
    drained: Mapping[str, Pause] = field(default_factory=dict)
    """Hosts that get no new runs."""

    @property
    def sick_units(self) -> dict[str, list[str]]:
        """Return, per host, our units that have failed."""
        sick = {
            host: [unit for unit, state in report.units.items() if state == "failed"]
            for host, report in self.hosts.reports.items()
        }
        return {host: units for host, units in sick.items() if units}

    @property
    def registry(self) -> str | None:
        """Return the state of the registry's unit; None where fleet.yml has none, or its host is silent."""
        report = self.hosts.reports.get(self.fleet.control.host)
        if self.fleet.registry is None or report is None:
            return None
        return report.units.get(REGISTRY_UNIT, "not there")

    @property
    def well(self) -> bool:
        """Tell whether nothing is wrong."""
        return not (
            self.hosts.unreachable
            or self.control.error
            or self.sick_units
            or self.registry not in {None, "active"}
            or any(_worst(report) is Residue.ENDING for report in self.hosts.reports.values())
            or any(report.record is None for report in self.hosts.reports.values())
            or any(not location.loaded for location in self.control.locations)
            or any(daemon.required and not daemon.healthy for daemon in self.control.daemons)
        )

    @property
    def exit_code(self) -> int:
        """Return 5 when a host does not answer, else 1 (when not `well`)."""
        return EXIT_UNREACHABLE if self.hosts.unreachable else EXIT_FAILED


def observe(fleet_file: "FleetFile") -> Observed:
    """Ask hosts and control plane at once."""
    fleet = fleet_file.fleet
    with ThreadPoolExecutor(2) as pool:
        control = pool.submit(_ask_control, fleet_file)
        drained = pool.submit(_ask_queue, fleet_file)
        hosts = survey([target(fleet_file, name) for name in fleet.hosts])
        rotations = tuple(Store(fleet_file).rotations())
        url = endpoint(fleet_file).url
        return Observed(fleet, url, hosts, control.result(), rotations, drained.result())


def _ask_queue(fleet_file: "FleetFile") -> dict[str, Pause]:
    """Return the hosts that get no new runs; a queue that does not answer is the control plane's to tell."""
    if not endpoint(fleet_file).authority.is_file():
        return {}
    try:
        pauses = RunQueue(target(fleet_file, fleet_file.fleet.control.host)).pauses()
    except DagfleetError:
        return {}
    return {pause.name: pause for pause in pauses if pause.kind == "host"}


def _ask_control(fleet_file: "FleetFile") -> ControlPlane:
    if not endpoint(fleet_file).authority.is_file():
        return ControlPlane(error=DagfleetError("the fleet was not applied yet", fix="dagfleet apply"))
    try:
        users = Secrets(fleet_file).resolve(secret_name(fleet_file.fleet.control.web.users) or "")
        with plane(fleet_file, users) as asked:
            return ControlPlane(asked.locations(), asked.daemons(), asked.queue())
    except DagfleetError as error:
        return ControlPlane(error=error)


def print_page(observed: Observed, terminal: Terminal) -> None:
    """Print hosts, locations, daemons and queue, one line each."""
    fleet = observed.fleet
    terminal.say(f"{terminal.paint(fleet.name, bold=True)} · {observed.url}")
    names = ["daemons", *(["registry"] if fleet.registry else [])]
    width = max(map(len, [*fleet.hosts, *fleet.locations, *names]))
    for host in fleet.hosts:
        level, text = _host_line(observed, host)
        _row(terminal, width, host, role(fleet, host), level=level, text=text)
    if (state := observed.registry) is not None:
        well = state == "active"
        text = str(registry_name(fleet)) if well else f"{REGISTRY_UNIT} is {state}; dagfleet doctor"
        _row(terminal, width, "registry", "images", level="ok" if well else "fix", text=text)
    for rotation in observed.rotations:
        text = f"{rotation}; go on with: dagfleet certs rotate-ca {rotation.authority}"
        _row(terminal, width, "certs", "", level="warn", text=text)
    if error := observed.control.error:
        _row(terminal, width, "control", "plane", level="fix", text=error.message)
        if error.fix:
            terminal.say(f"{'':{width + 22}}{error.fix}")
        return
    for location in observed.control.locations:
        if location.name in fleet.locations:
            hosts = ", ".join(fleet.locations[location.name].hosts)
            state = f"loaded · on {hosts}" if location.loaded else location.error or "loading"
            level = "ok" if location.loaded else "fix"
            _row(terminal, width, location.name, "location", level=level, text=state)
    sick = [daemon for daemon in observed.control.daemons if daemon.required and not daemon.healthy]
    healthy = sum(daemon.healthy for daemon in observed.control.daemons)
    text = ", ".join(f"{daemon.kind}: {daemon.error or 'no heartbeat'}" for daemon in sick)
    _row(terminal, width, "daemons", "", level="fix" if sick else "ok", text=text or f"{healthy} healthy")
    if queue := observed.control.queue:
        text = f"{queue.queued} queued · {queue.starting} starting · {queue.running} running"
        _row(terminal, width, "queue", "", level="ok", text=text)


def print_json(observed: Observed, terminal: Terminal) -> None:
    """Print the same facts as JSON."""
    control = observed.control
    terminal.say(json.dumps({
        "fleet": observed.fleet.name,
        "url": observed.url,
        "well": observed.well,
        "rotations": [
            {"authority": each.authority, "step": each.number, "name": each.step, "hosts": each.hosts}
            for each in observed.rotations
        ],
        "hosts": {name: _host_json(observed, name) for name in observed.fleet.hosts},
        "control_plane": {
            "reachable": control.error is None,
            "error": control.error and control.error.message,
        },
        "locations": {
            location.name: {
                "loaded": location.loaded,
                "server_id": location.server_id,
                "error": location.error,
                "hosts": list(observed.fleet.locations[location.name].hosts)
                if location.name in observed.fleet.locations
                else [observed.fleet.control.host],
            }
            for location in control.locations
        },
        "daemons": {
            daemon.kind: {"required": daemon.required, "healthy": daemon.healthy, "error": daemon.error}
            for daemon in control.daemons
        },
        "queue": vars(control.queue) if control.queue else None,
        "registry": {"name": registry_name(observed.fleet), "state": observed.registry}
        if observed.fleet.registry
        else None,
    }, indent=2))  # fmt: skip


def _row(terminal: Terminal, width: int, name: str, kind: str, *, level: str, text: str) -> None:
    colour = {"ok": "green", "warn": "yellow", "fix": "red"}[level]
    terminal.say(f"  {name:<{width}}  {kind:<9} {terminal.paint(f'{level:<6}', fg=colour)}  {text}")


def _host_line(observed: Observed, host: str) -> tuple[str, str]:
    if error := observed.hosts.unreachable.get(host):
        return "fix", error.message
    report = observed.hosts.reports[host]
    if report.record is None:
        return "warn", "not set up yet, or an apply was stopped here; dagfleet apply"
    if units := observed.sick_units.get(host):
        return "fix", f"{', '.join(units)} failed; journalctl -u {units[0]}"
    parts = [f"applied {_when(report)}"]
    if host == observed.fleet.control.standby:
        parts.insert(0, standing_by(report, datetime.now(UTC)))
    if pause := observed.drained.get(host):
        parts.insert(0, _drained(report, pause))
    if report.engine:
        parts.append(count(len(report.engine.containers), "container"))
    if report.disk:
        parts.append(f"{size(report.disk.free)} free")
    if (days := _certificate_days(report)) is not None:
        parts.append(f"certificates for {count(days, 'day')}")
    level = {Residue.ENDING: "fix", Residue.SHORT: "warn"}.get(_worst(report), "ok")
    return level, " · ".join(parts)


def _host_json(observed: Observed, host: str) -> dict[str, Any]:
    if error := observed.hosts.unreachable.get(host):
        return {"reachable": False, "error": error.message}
    report = observed.hosts.reports[host]
    return {
        "reachable": True,
        "role": role(observed.fleet, host),
        "record": dict(report.record) if report.record is not None else None,
        "containers": sorted(report.engine.containers) if report.engine else [],
        "units": dict(report.units),
        "disk_free_bytes": report.disk.free if report.disk else None,
        "certificate_days": _certificate_days(report),
        "standby": dict(report.standby or {}) if host == observed.fleet.control.standby else None,
        "certificates_checked": report.certificates_checked,
        "drained": vars(pause) if (pause := observed.drained.get(host)) else None,
        "runs": _runs(report),
    }


def standing_by(report: HostReport, now: datetime) -> str:
    """Return how old what a standby would take over from is."""
    known = report.standby or {}
    replica, newest = known.get("replica"), known.get("newest")
    if isinstance(replica, dict):
        if not replica["streaming"]:
            return f"its copy of PostgreSQL has not followed since {replica['last'] or 'it was made'}"
        return f"its copy of PostgreSQL is {duration(replica['seconds_behind'] or 0.0)} behind"
    if not isinstance(newest, dict):
        return "has no backup to take over from yet"
    return f"newest backup made {duration((now - datetime.fromisoformat(newest['at'])).total_seconds())} ago"


def _runs(report: HostReport) -> int:
    """Return how many run containers work on the host."""
    return sum(name.startswith("dagster-run-") for name in report.engine.containers) if report.engine else 0


def _drained(report: HostReport, pause: Pause) -> str:
    left = _runs(report)
    since = datetime.fromtimestamp(pause.since, UTC).astimezone()
    state = f"draining, {count(left, 'run')} left" if left else "drained"
    return f"{state} (by {pause.paused_by} since {since:%Y-%m-%d %H:%M})"


def _certificate_days(report: HostReport) -> int | None:
    ends = [inspect(pem.encode()).not_after for pem in leaves(report).values()]
    return (min(ends) - datetime.now(UTC)).days if ends else None


def _worst(report: HostReport) -> Residue:
    """Return the residue of the certificate that ends first."""
    facts = [inspect(pem.encode()) for pem in leaves(report).values()]
    if not facts:
        return Residue.ENOUGH
    return residue(min(facts, key=lambda each: each.not_after), datetime.now(UTC))


def _when(report: HostReport) -> str:
    record = report.record or {}
    try:
        moment = datetime.fromisoformat(str(record.get("applied_at")))
    except ValueError:
        return "at some time"
    who = f" by {record['applied_by']}" if record.get("applied_by") else ""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}{who}"
