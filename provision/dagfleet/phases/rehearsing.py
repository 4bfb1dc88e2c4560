"""Phase: a container like a run's on each host with Docker, started as the control plane will start runs."""

import json
import subprocess
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagfleet.errors import DagfleetError
from dagfleet.phases.work import Work
from dagfleet.probe.shell import ssh
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet

MODULE = "dagster_multihost_launcher.rehearsal"
PATIENCE_SECONDS = 300


class Rehearse:
    """Only when something has changed: nothing else has, and a rehearsal takes seconds on every host."""

    title = "verify"

    def run(self, work: Work) -> None:
        """Raise DagfleetError that names the host on which runs would not work, and why."""
        wanted = rehearsals(work.fleet, work.going)
        if not work.changes or not work.control_going or not wanted:
            return
        started = time.monotonic()
        with work.progress.working(self.title, f"starting a container on {', '.join(wanted)}"):
            results = _ask(work, wanted)
        for each in results:
            if each["error"]:
                last = "".join(f"\n    {line}" for line in each["lines"][-5:])
                raise DagfleetError(
                    f"{each['host']} does not run what {each['location']} needs: {each['error']}{last}",
                    fix="see each hop with: dagfleet doctor",
                )
        hosts = list(wanted)
        names = f"{', '.join(hosts[:-1])} and {hosts[-1]}" if len(hosts) > 1 else hosts[0]
        work.progress.line(
            self.title, f"a trial run on {names} reached the database", time.monotonic() - started
        )


def rehearsals(fleet: "Fleet", hosts: list[str]) -> dict[str, dict[str, str]]:
    """Return the images to try, by host and location."""
    return {
        host: images
        for host in hosts
        if (
            images := {
                name: location.image for name, location in fleet.locations_on(host).items() if location.image
            }
        )
    }


def _ask(work: Work, wanted: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    control = target(work.fleet_file, work.fleet.control.host)
    # The same way in as the daemon's own processes: with its secrets.
    inside = ["docker", "exec", "dagfleet-daemon", "/run/dagfleet/with-secrets", "python", "-m", MODULE]
    try:
        done = subprocess.run(
            ssh(control, [*inside, json.dumps(wanted)]),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DagfleetError(
            f"no trial run ended within {PATIENCE_SECONDS} s", fix="see each hop with: dagfleet doctor"
        ) from None
    if done.returncode:
        said = (done.stderr.strip() or "no reason").splitlines()[-1]
        raise DagfleetError(
            f"the launcher on {control.name} cannot try its hosts: {work.mask(said)}",
            fix="see what it says: dagfleet logs daemon",
        )
    results: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return results
