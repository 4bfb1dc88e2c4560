"""What Docker is there already, and what of it is kept?"""

import json
import re
from collections.abc import Iterable

from dagfleet.probe.findings.finding import Finding, Subject

OLDEST = (20, 10)
ENGINES = ("docker.io", "docker-ce", "docker-engine")
# Set by the role `docker`; everything else in daemon.json is somebody else's and stays.
OWN_KEYS = frozenset({"live-restore", "log-driver", "log-opts"})


def engine(subject: Subject) -> Iterable[Finding]:
    """An engine that is there is used as it is, if it is recent enough."""
    if not subject.runs_docker:
        return
    report = subject.report
    installed = [name for name in ENGINES if name in report.packages]
    if len(installed) > 1:
        yield subject.fix(
            f"{' and '.join(installed)} are installed together", f"keep one: apt-get remove {installed[0]}"
        )
    if "podman-docker" in report.packages:
        yield subject.fix("podman-docker stands in for Docker", "apt-get remove podman-docker")
    if report.engine and (version := _version(report.engine.version)) and version < OLDEST:
        yield subject.fix(
            f"Docker {report.engine.version} is too old", f"upgrade it to {OLDEST[0]}.{OLDEST[1]} or newer"
        )


def settings(subject: Subject) -> Iterable[Finding]:
    """daemon.json is merged, never overwritten; one that is no JSON would stop Docker at its next start."""
    text = subject.report.daemon_json
    if not subject.runs_docker or text is None:
        return
    try:
        options = json.loads(text)
    except ValueError as error:
        yield subject.fix(
            f"/etc/docker/daemon.json is not JSON ({error})", "correct it, Docker cannot start with it"
        )
        return
    if not isinstance(options, dict):
        yield subject.fix(
            "/etc/docker/daemon.json is not a JSON object", "correct it, Docker cannot start with it"
        )
        return
    if foreign := sorted(set(options) - OWN_KEYS):
        yield subject.note(f"Docker keeps its own settings: {', '.join(foreign)}")


def _version(text: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None
