"""Phase: exchange the code servers of a location for those of another version; calls notice nothing."""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dagfleet.control.connect import session
from dagfleet.control.plane import LoadedLocation, Plane
from dagfleet.control.session import WebError
from dagfleet.errors import DagfleetError
from dagfleet.fleet.values import secret_name
from dagfleet.phases.bringing import Bring
from dagfleet.phases.code_servers import asked
from dagfleet.phases.introducing import introduced
from dagfleet.phases.work import Work
from dagfleet.phases.writing import WriteFleet

# A new code server has two minutes to load its code (role code_server); whoever holds its slot has three for
# calls before that, and one to end.
EXCHANGE_SECONDS = 390
FINISH_SECONDS = 60
SHOWN_SECONDS = 60
POLL_SECONDS = 0.2


@dataclass(kw_only=True)
class Deploy:
    """Hosts one by one; what fails puts those back that were exchanged, and fleet.yml is written last."""

    location: str
    version: str
    """An image, or the digest of a release of a location without one."""
    write: WriteFleet
    bring: Bring | None
    """How it comes to the hosts; None: they have it."""
    title: str = "deploy"
    wanted_digest: str = ""
    """What the version's name has to stand for, where a release says so."""

    digest: str = ""
    """What the version's name stands for on the hosts: filled here, for the record."""
    before: str = ""
    """The same of what served before."""
    exchanged: bool = False
    """Whether any host served something else before."""

    def run(self, work: Work) -> None:
        """Raise DagfleetError when the old servers go on serving, or serve again."""
        if self.bring:
            self._bring(work, self.bring)
        servers: dict[str, str] = {}
        try:
            # What has served before is known to; anything else shows itself on one host first.
            for hosts in [[host] for host in work.hosts] if self.bring else [work.hosts]:
                servers |= self._switch(work, hosts)
            self._shown(work, next(iter(servers.values())))
            if self.write.before != self.write.after:
                self.write.run(work)
        except (DagfleetError, KeyboardInterrupt) as error:
            # The one after them may have been exchanged although its answer was lost.
            asked_so_far = work.hosts[: len(servers) + 1] if self.bring else work.hosts
            self._back(work, asked_so_far, error)
            raise

    def _bring(self, work: Work, bring: Bring) -> None:
        """Have it on every host before the first one is touched."""
        started = time.monotonic()
        with work.progress.working(bring.label, "looking what is missing") as now:
            text = bring.bring(work, now)
        work.progress.line(bring.label, text, time.monotonic() - started)

    def _switch(self, work: Work, hosts: list[str]) -> dict[str, str]:
        """Exchange the servers on these hosts and return the new ones' ids."""
        started = time.monotonic()
        names = ", ".join(hosts)
        with work.progress.working(
            self.title, f"{names}: starting {self.version} beside the server that works"
        ) as now:
            words = f"{self.location} {shlex.quote(self.version)}"
            started_beside = asked(
                work, hosts, f"start {words} {self.wanted_digest}".rstrip(), EXCHANGE_SECONDS
            )
            changing = [host for host in hosts if started_beside[host]["changed"]]
            if changing:
                now(f"{names}: asking {self.version} through the mesh")
                introduced(work, changing, self.location)
            answers = asked(work, hosts, f"switch {words}", EXCHANGE_SECONDS)
        self.digest, self.before = answers[hosts[0]]["version"], answers[hosts[0]]["before"]
        changed = any(answer["changed"] for answer in answers.values())
        self.exchanged |= changed
        what = "serves, the old server waits" if changed else "serves already"
        work.progress.line(self.title, f"{names}  {self.version} {what}", time.monotonic() - started)
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
                f"{', '.join(hosts)} may serve {self.version} still: {failed.message}. "
                "dagfleet apply brings back what fleet.yml says."
            )
            return
        error.add_note(f"{', '.join(hosts)} {'serves' if len(hosts) == 1 else 'serve'} as before.")
        lines = next((answer[self.location] for answer in answers.values() if answer.get(self.location)), "")
        if lines:
            error.add_note(lines)


@dataclass(frozen=True, kw_only=True)
class Finish:
    """Lets go of the old servers: each ends by itself, with its last call and its last run."""

    location: str
    title: str = "deploy"

    def run(self, work: Work) -> None:
        """Raise DagfleetError when one cannot be let go of; the new ones serve all the same."""
        started = time.monotonic()
        with work.progress.working(self.title, "letting go of the old server"):
            asked(work, work.hosts, f"finish {self.location}", FINISH_SECONDS)
        text = "the old server ends with its last call"
        if work.fleet.locations[self.location].requirements:
            text += " and its last run"
        work.progress.line(self.title, text, time.monotonic() - started)


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
