"""Phase: exchange the code servers of a location for those of another image; calls notice nothing."""

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dagfleet.control.connect import session
from dagfleet.control.plane import LoadedLocation, Plane
from dagfleet.control.session import WebError
from dagfleet.errors import DagfleetError, UnreachableError
from dagfleet.fleet.values import secret_name
from dagfleet.phases.images import described, send
from dagfleet.phases.work import Work
from dagfleet.phases.writing import WriteFleet
from dagfleet.probe.survey import on_each
from dagfleet.probe.target import target

if TYPE_CHECKING:
    from dagfleet.probe.connection import Connection

SCRIPT = "/usr/local/lib/dagfleet/code-server"
PULL_SECONDS = 600
# A new code server has two minutes to load its code (role code_server), an old one three to end.
EXCHANGE_SECONDS = 330
SHOWN_SECONDS = 60
POLL_SECONDS = 0.2


@dataclass(kw_only=True)
class Deploy:
    """Hosts one by one; what fails puts those back that were exchanged, and fleet.yml is written last."""

    location: str
    image: str
    write: WriteFleet
    title: str = "deploy"
    pushes: bool | None = False
    """Whether the image comes from this machine's Docker; None: from nowhere, the hosts have it."""

    digests: dict[str, str] = field(default_factory=dict)
    """What the image's name stands for on the hosts, by location: filled here, for the record."""
    exchanged: bool = False
    """Whether any host served something else before."""

    def run(self, work: Work) -> None:
        """Raise DagfleetError when the old servers go on serving, or serve again."""
        if self.pushes is not None:
            self._fetch(work)
        servers: dict[str, str] = {}
        try:
            # What has served before is known to; anything else shows itself on one host first.
            for hosts in [work.hosts] if self.pushes is None else [[host] for host in work.hosts]:
                servers |= self._switch(work, hosts)
            self._shown(work, next(iter(servers.values())))
            if self.write.before != self.write.after:
                self.write.run(work)
        except (DagfleetError, KeyboardInterrupt) as error:
            # The one after them may have been exchanged although its answer was lost.
            asked_so_far = work.hosts if self.pushes is None else work.hosts[: len(servers) + 1]
            self._back(work, asked_so_far, error)
            raise

    def _fetch(self, work: Work) -> None:
        """Have the image on every host before the first one is touched."""
        started = time.monotonic()
        if self.pushes:
            with work.progress.working("images", "looking what is missing") as now:
                sent = send(work.fleet_file, {host: [self.image] for host in work.hosts}, now)
            for each in sent:
                if each.error:
                    raise each.error
            texts = [
                described(each) for each in sent if any(result.bytes_sent for result in each.results.values())
            ]
            text = " · ".join(texts) or "the hosts have it already"
        else:
            with work.progress.working("images", f"pulling {self.image}"):
                command = f"fetch {shlex.quote(self.image)} {PULL_SECONDS}"
                asked(work, work.hosts, command, PULL_SECONDS + 30)
            text = f"{', '.join(work.hosts)} {'has' if len(work.hosts) == 1 else 'have'} {self.image}"
        work.progress.line("images", text, time.monotonic() - started)

    def _switch(self, work: Work, hosts: list[str]) -> dict[str, str]:
        """Exchange the servers on these hosts and return the new ones' ids."""
        started = time.monotonic()
        names = ", ".join(hosts)
        with work.progress.working(
            self.title, f"{names}: starting {self.image} beside the server that works"
        ):
            command = f"switch {self.location} {shlex.quote(self.image)}"
            answers = asked(work, hosts, command, EXCHANGE_SECONDS)
        self.digests[self.location] = answers[hosts[0]]["image"]
        changed = any(answer["changed"] for answer in answers.values())
        self.exchanged |= changed
        what = "serves, the old server waits" if changed else "serves already"
        work.progress.line(self.title, f"{names}  {self.image} {what}", time.monotonic() - started)
        return {host: str(answer["server"]) for host, answer in answers.items()}

    def _shown(self, work: Work, server: str) -> None:
        """Wait until the web server shows the location as this server loaded it."""
        started = time.monotonic()
        users = work.secrets[secret_name(work.fleet.control.web.users) or ""]
        with (
            work.progress.working("verify", "asking the web server") as now,
            session(work.fleet_file, users) as web,
        ):
            if web.login is None:
                work.progress.line("verify", "left out: it needs DAGFLEET_WEB_LOGIN=user:password")
                return
            shown(Plane(web), self.location, server, now=now)
        work.progress.line("verify", "the web server shows the new code", time.monotonic() - started)

    def _back(self, work: Work, hosts: Sequence[str], error: BaseException) -> None:
        """Serve from the old servers again, and say so with the error."""
        try:
            answers = asked(work, hosts, f"back {self.location}", EXCHANGE_SECONDS)
        except DagfleetError as failed:
            error.add_note(
                f"{', '.join(hosts)} may serve {self.image} still: {failed.message}. "
                "dagfleet apply brings back what fleet.yml says."
            )
            return
        error.add_note(f"{', '.join(hosts)} {'serves' if len(hosts) == 1 else 'serve'} as before.")
        lines = next((answer[self.location] for answer in answers.values() if answer.get(self.location)), "")
        if lines:
            error.add_note(lines)


@dataclass(frozen=True, kw_only=True)
class Finish:
    """Lets go of the old servers: each ends with its last call."""

    location: str
    title: str = "deploy"

    def run(self, work: Work) -> None:
        """Raise DagfleetError when one cannot be let go of; the new ones serve all the same."""
        started = time.monotonic()
        with work.progress.working(self.title, "the old server ends with its last call"):
            asked(work, work.hosts, f"finish {self.location}", EXCHANGE_SECONDS)
        work.progress.line(self.title, "the old server has ended", time.monotonic() - started)


def shown(
    plane: Plane,
    location: str,
    server: str,
    *,
    patience: float = SHOWN_SECONDS,
    now: Callable[[str], None] = lambda _text: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the web server has loaded the location from this server; raise DagfleetError if never."""
    deadline = time.monotonic() + patience
    while True:
        try:
            complaint = _complaint(plane.locations(), location, server)
        except WebError as error:
            complaint = error.message
        if not complaint:
            return
        if time.monotonic() >= deadline:
            raise DagfleetError(complaint, fix=f"see what its code server says: dagfleet logs {location}")
        now(complaint)
        sleep(POLL_SECONDS)


def _complaint(locations: Sequence[LoadedLocation], name: str, server: str) -> str:
    found = next((each for each in locations if each.name == name), None)
    if found is None:
        return f"the web server does not know location {name}"
    if not found.loaded:
        return f"location {name} cannot be loaded: {found.error or 'it is still loading'}"
    return "" if found.server_id == server else f"the web server does not show the new code of {name} yet"


def asked(work: Work, hosts: Sequence[str], command: str, seconds: int) -> dict[str, dict[str, str]]:
    """Run `code-server` on hosts at once and return what each printed; raises DagfleetError."""

    def ask(connection: "Connection") -> dict[str, str]:
        answer = connection.run(f"{SCRIPT} {command}", timeout=seconds)
        if not answer.ok:
            raise refused(connection.target.name, answer.stderr or answer.stdout)
        found: dict[str, str] = json.loads(answer.stdout)
        return found

    answers = on_each([target(work.fleet_file, host) for host in hosts], ask)
    for answer in answers.values():
        if isinstance(answer, UnreachableError):
            raise answer
    return {host: answer for host, answer in answers.items() if isinstance(answer, dict)}


def refused(host: str, said: str) -> DagfleetError:
    """Return what a host's own words mean to the operator."""
    if "code-server: not found" in said:
        return DagfleetError(
            f"{host} is from an older Dagfleet", fix="bring it up to date first: dagfleet apply"
        )
    return DagfleetError(
        f"{host}: {said.strip() or 'its script failed without a word'}",
        fix="mend the image and deploy it again",
    )
