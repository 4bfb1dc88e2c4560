"""Phase: all that an upgrade needs is there before anything is stopped, and of the right Dagster."""

import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagfleet.derive.registry import pulled
from dagfleet.errors import ConfigurationError, DagfleetError, UnreachableError
from dagfleet.fleet.tested import PACKAGES, misfit
from dagfleet.image.process import locked_packages
from dagfleet.phases.bringing import PULL_SECONDS
from dagfleet.phases.code_servers import asked
from dagfleet.phases.images import build_releases, described, images_to_send, send
from dagfleet.phases.work import Work
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.fleet import Fleet, FleetFile
    from dagfleet.probe.connection import Connection

ANSWER_SECONDS = 120
# The Python that `dagster` runs with is not always the one named python.
_IN_ITS_PYTHON = (
    'python=$(sed -n "1s/^#! *//p" "$(command -v dagster)" | grep python) || python=python3; '
    'exec $python -c "$1"'
)
_PACKAGES = f"""\
import json, importlib.metadata
names = {PACKAGES!r}
known = {{each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}}
print(json.dumps({{name: known[name] for name in names if name in known}}))
"""


@dataclass(frozen=True)
class Fit:
    """Builds, sends and pulls for the fleet that is wanted, and asks each image which Dagster it has."""

    wanted: "FleetFile"
    images: Mapping[str, str]
    """Locations' images that change."""
    title: str = "images"

    def run(self, work: Work) -> None:
        """Raise ConfigurationError that names every image and lock of another Dagster; nothing is touched."""
        started = time.monotonic()
        with work.progress.working(self.title, "looking what is missing") as now:
            fleet = self.wanted.fleet
            misfits = list(_locks(self.wanted))
            built = build_releases(self.wanted, now)
            sent = send(self.wanted, images_to_send(fleet), now)
            for each in sent:
                if each.error:
                    raise each.error
            self._pull(work)
            now("asking the images for their Dagster")
            misfits += [*_images(self.wanted)]
        if misfits:
            raise refused(misfits, fleet.dagster.version)
        texts = [f"built {', '.join(built)}"] if built else []
        texts += [described(each) for each in sent if any(one.bytes_sent for one in each.results.values())]
        texts.append(f"all fit Dagster {fleet.dagster.version}")
        work.progress.line(self.title, " · ".join(texts), time.monotonic() - started)

    def _pull(self, work: Work) -> None:
        fleet = self.wanted.fleet
        wanted = {image: fleet.locations[name].hosts for name, image in self.images.items()}
        if fleet.control.image:
            wanted[fleet.control.image] = (fleet.control.host,)
        for image, hosts in wanted.items():
            if not pulled(fleet, image):
                continue
            asked(work, hosts, f"fetch {shlex.quote(image)} {PULL_SECONDS}", PULL_SECONDS + 30)


def refused(misfits: Sequence[tuple[str, str, str]], version: str) -> ConfigurationError:
    """Return the error for code that does not fit: who it is, why, and what to do."""
    minor = version.rpartition(".")[0]
    told = "".join(f"\n  {who}: {why}\n      {fix}" for who, why, fix in misfits)
    return ConfigurationError(
        f"not everything is ready for Dagster {version}:{told}",
        fix=f"code has to have the fleet's Dagster, any {minor}, with the libraries of the same release",
    )


def _locks(wanted: "FleetFile") -> Iterator[tuple[str, str, str]]:
    version = wanted.fleet.dagster.version
    for name, location in wanted.fleet.locations.items():
        if location.requirements and (why := misfit(locked_packages(wanted, name), version)):
            yield f"location {name}", f"{why} in its requirements", f"lock them again with dagster=={version}"


def _images(wanted: "FleetFile") -> Iterator[tuple[str, str, str]]:
    fleet = wanted.fleet
    version = fleet.dagster.version
    asked_for: dict[str, list[str]] = {}
    for host, image in _owners(fleet).values():
        asked_for.setdefault(host, []).append(image)
    found = _packages(wanted, asked_for)
    for who, (_, image) in _owners(fleet).items():
        if why := misfit(found[image], version):
            option = "--control-image REF" if who == "the control plane" else f"--image {who.split()[1]}=REF"
            yield who, f"{why} in image {image}", f"name one that fits: dagfleet upgrade {version} {option}"


def _owners(fleet: "Fleet") -> dict[str, tuple[str, str]]:
    """Return whose images are not made here: a host that has each, and its name."""
    own = {"the control plane": (fleet.control.host, fleet.control.image)} if fleet.control.image else {}
    return own | {
        f"location {name}": (location.hosts[0], location.image)
        for name, location in fleet.locations.items()
        if location.image
    }


def _packages(wanted: "FleetFile", images: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Return Dagster's packages in each image, asked on the hosts named."""

    def ask(connection: "Connection") -> dict[str, dict[str, str]]:
        return {
            image: _packages_in(connection, image) for image in dict.fromkeys(images[connection.target.name])
        }

    found: dict[str, dict[str, str]] = {}
    for answer in on_each([target(wanted, host) for host in images], ask).values():
        if isinstance(answer, UnreachableError):
            raise answer
        found |= answer
    return found


def _packages_in(connection: "Connection", image: str) -> dict[str, str]:
    inside = ["sh", image, "-c", _IN_ITS_PYTHON, "sh", _PACKAGES]
    answer = connection.run(
        f"docker run --rm --network none --entrypoint {shlex.join(inside)}", timeout=ANSWER_SECONDS
    )
    if not answer.ok:
        said = (answer.stderr.strip() or "no reason").splitlines()[-1]
        raise DagfleetError(
            f"{connection.target.name}: image {image} does not say which Dagster it has: {said}",
            fix="it needs a shell and Python, as code servers do",
        )
    packages: dict[str, str] = json.loads(answer.stdout.strip().splitlines()[-1])
    return packages
