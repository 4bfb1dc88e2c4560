"""From the lines of report.sh to a HostReport; pure, and forgiving about what a host does not have."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from dagfleet.probe.report import Disk, Engine, HostCertificate, HostReport, Listener, Privilege

MARK = "@@"
_OWNER = re.compile(r'"(?P<process>[^"]+)",pid=(?P<pid>\d+)')
_PUBLISHED = re.compile(r":(\d+)(?:-(\d+))?->")


def parse(lines: Iterable[str], *, asked_at: float) -> HostReport:
    """Return the report in `lines`; `asked_at` is this machine's clock at the question (Unix time)."""
    text = sections(lines)
    release = assignments(text.get("release", ()))
    identity = pairs(text.get("identity", ()))
    return HostReport(
        hostname=identity.get("hostname", ""),
        machine_id=identity.get("machine_id", ""),
        distribution=release.get("ID", "unknown"),
        version=release.get("VERSION_ID", ""),
        pretty_name=release.get("PRETTY_NAME", "an unknown system"),
        architecture=identity.get("architecture", "unknown"),
        cores=int(identity.get("cores") or 0),
        memory=_memory(text.get("memory", ())),
        clock_offset=float(_first(text.get("clock", ())) or asked_at) - asked_at,
        addresses=tuple(_addresses(text.get("addresses", ()))),
        cgroup="v2" if identity.get("cgroup") == "cgroup2fs" else "v1",
        init=identity.get("init", ""),
        privilege=Privilege(_first(text.get("privilege", ())) or Privilege.NONE),
        commands=frozenset(line for line in text.get("commands", ()) if line),
        listeners=tuple(_listeners(text.get("listening", ()))),
        packages=dict(_packages(text.get("packages", ()))),
        disk=_disk(text.get("disk", ())),
        engine=_engine(text),
        daemon_json="\n".join(text.get("daemon_json", ())).strip() or None,
        record=_object("\n".join(text.get("record", ()))),
        standby=_object("\n".join(text.get("standby", ()))),
        certificates=tuple(_certificates(text.get("certificates", ()))),
        certificates_checked=_checked(text.get("certificate_days", ())),
        units=_units(text.get("units", ())),
        python=_python(text.get("python", ())),
        launcher_key=_first(text.get("launcher_key", ())),
        seal=_first(text.get("seal", ())),
        state=_first(text.get("state", ())),
    )


def sections(lines: Iterable[str]) -> dict[str, list[str]]:
    """Split the lines at their `@@name` marks."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith(MARK):
            current = found.setdefault(line.removeprefix(MARK).strip(), [])
        else:
            current.append(line)
    return found


def assignments(lines: Iterable[str]) -> dict[str, str]:
    """Return the shell assignments of os-release(5), unquoted."""
    values = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals:
            values[name.strip()] = "".join(shlex.split(value)[:1])
    return values


def pairs(lines: Iterable[str]) -> dict[str, str]:
    """Return `key value` lines as a mapping."""
    return {key: value.strip() for key, _, value in (line.partition(" ") for line in lines) if key}


def _first(lines: Iterable[str]) -> str | None:
    return next((line.strip() for line in lines if line.strip()), None)


def _python(lines: Iterable[str]) -> str | None:
    version = re.match(r"Python (\d+\.\d+)", _first(lines) or "")
    return version[1] if version else None


def _memory(lines: Iterable[str]) -> int:
    for line in lines:
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _addresses(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        fields = line.split()
        if len(fields) > 3 and fields[2] in {"inet", "inet6"}:
            yield fields[3].partition("/")[0]


def _listeners(lines: Iterable[str]) -> Iterable[Listener]:
    lines = list(lines)
    units = {
        int(fields[1]): fields[2].rsplit("/", 1)[-1] for fields in (line.split() for line in lines)
        if len(fields) == 3 and fields[0] == "@unit"
    }  # fmt: skip
    for line in lines:
        fields = line.split()
        if len(fields) < 5 or fields[0] != "LISTEN":
            continue
        address, _, port = fields[3].rpartition(":")
        owner = _OWNER.search(line)
        pid = int(owner["pid"]) if owner else None
        yield Listener(
            address=address.strip("[]").partition("%")[0],
            port=int(port),
            process=owner["process"] if owner else None,
            pid=pid,
            unit=units.get(pid) if pid is not None else None,
        )


def _packages(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        fields = line.split()
        if len(fields) == 3 and fields[0] == "installed":
            yield fields[1], fields[2]


def _disk(lines: Iterable[str]) -> Disk | None:
    rows = [line.split() for line in lines if line.strip()]
    if not rows or len(rows[0]) < 6:
        return None
    _, blocks, _, free, _, mount = rows[0][:6]
    inodes = rows[1][3] if len(rows) > 1 and len(rows[1]) >= 6 else "-"
    # btrfs has no fixed number of inodes and reports 0 of 0.
    limited = inodes.isdigit() and rows[1][1] != "0"
    return Disk(
        mount=mount,
        total=int(blocks) * 1024,
        free=int(free) * 1024,
        inodes_free=int(inodes) if limited else None,
    )


def _engine(text: Mapping[str, list[str]]) -> Engine | None:
    info = _object("\n".join(text.get("docker", ())))
    if not info or not info.get("ServerVersion"):
        return None
    containers = {}
    for line in text.get("containers", ()):
        name, _, ports = line.partition("\t")
        if name:
            containers[name] = tuple(_published(ports))
    return Engine(
        version=str(info["ServerVersion"]),
        root=str(info.get("DockerRootDir", "/var/lib/docker")),
        driver=str(info.get("Driver", "")),
        cgroup_driver=str(info.get("CgroupDriver", "")),
        containers=containers,
    )


def _published(ports: str) -> Iterable[int]:
    for first, last in _PUBLISHED.findall(ports):
        yield from range(int(first), int(last or first) + 1)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _certificates(lines: Iterable[str]) -> Iterable[HostCertificate]:
    header: list[str] = []
    body: list[str] = []
    for line in [*lines, "@file"]:
        if line.startswith("@file"):
            if header and body:
                yield HostCertificate(header[0], "\n".join(body) + "\n", "key" in header[1:])
            header, body = line.split()[1:], []
        elif line.strip():
            body.append(line)


def _checked(lines: Iterable[str]) -> float | None:
    moment = pairs(lines).get("checked", "")
    return float(moment) if moment.isdigit() else None


def _units(lines: Iterable[str]) -> dict[str, str]:
    fields = (line.split() for line in lines)
    return {row[0]: row[2] for row in fields if len(row) >= 4}
