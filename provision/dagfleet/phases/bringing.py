"""How the new version of a location comes to its hosts, before the first of them is touched."""

import shlex
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dagfleet.errors import UnreachableError
from dagfleet.image import process_release
from dagfleet.phases.code_servers import PROGRAM, asked, refused
from dagfleet.phases.images import described, send
from dagfleet.phases.work import Work
from dagfleet.probe.shell import SSH_FAILED, ssh
from dagfleet.probe.target import target
from dagfleet.probe.units import size

if TYPE_CHECKING:
    from pathlib import Path

PULL_SECONDS = 600
PARALLEL = 4
Now = Callable[[str], None]


class Bring(Protocol):
    """Has a version on hosts."""

    @property
    def label(self) -> str:
        """Return what stands in front of its line."""

    def bring(self, work: Work, now: Now) -> str:
        """Do so and return what was done, for people; raise DagfleetError."""


@dataclass(frozen=True)
class Pull:
    """Hosts fetch an image from its registry."""

    image: str
    label: str = "images"

    def bring(self, work: Work, now: Now) -> str:
        """Pull on all hosts at once, within ten minutes."""
        now(f"pulling {self.image}")
        asked(work, work.hosts, f"fetch {shlex.quote(self.image)} {PULL_SECONDS}", PULL_SECONDS + 30)
        return f"{_have(work.hosts)} {self.image}"


@dataclass(frozen=True)
class Push:
    """This machine's Docker sends the layers that hosts lack."""

    image: str
    label: str = "images"

    def bring(self, work: Work, now: Now) -> str:
        """Send to several hosts at once."""
        sent = send(work.fleet_file, {host: [self.image] for host in work.hosts}, now)
        for each in sent:
            if each.error:
                raise each.error
        texts = [
            described(each) for each in sent if any(result.bytes_sent for result in each.results.values())
        ]
        return " · ".join(texts) or "the hosts have it already"


@dataclass(frozen=True)
class Install:
    """Wheels are collected here and become an environment of their own on hosts without Docker."""

    location: str
    label: str = "release"

    def bring(self, work: Work, now: Now) -> str:
        """Send the archive to hosts without the release; what cannot be installed leaves nothing behind."""
        now(f"collecting the wheels of {self.location}")
        release = process_release(work.fleet_file, self.location)
        words = f"{self.location} {release.digest}"
        there = asked(work, work.hosts, f"installed {words}", 60)
        lacking = [host for host in work.hosts if not there[host]["installed"]]
        if lacking:
            now(f"installing release {release.digest} on {', '.join(lacking)}")
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(
                pool.map(
                    lambda host: _install(work, host, self.location, release.digest, release.archive), lacking
                )
            )
        sent = f", {size(release.archive.stat().st_size)} each" if lacking else ""
        return f"{_have(work.hosts)} {release.digest}{sent}"


def _install(work: Work, host: str, location: str, digest: str, archive: "Path") -> None:
    at = target(work.fleet_file, host)
    with archive.open("rb") as content:
        done = subprocess.run(
            ssh(at, [PROGRAM, "install", location, digest, "-"]),
            stdin=content, capture_output=True, check=False,
        )  # fmt: skip
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == SSH_FAILED:
        raise UnreachableError(f"{host} ({at.endpoint}) cannot be entered over SSH: {said}")
    if done.returncode:
        raise refused(host, said)


def _have(hosts: Sequence[str]) -> str:
    return f"{', '.join(hosts)} {'has' if len(hosts) == 1 else 'have'}"
