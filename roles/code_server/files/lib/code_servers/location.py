"""One location on this host: the server that serves, the one beside it, and how they take turns."""

from __future__ import annotations

import contextlib
import json
import math
import time

from code_servers import versions
from code_servers.calls import here, server_id, shut_down
from code_servers.containers import Containers
from code_servers.host import SPECIFICATIONS, Failed, Specification, secrets_written, write
from code_servers.ports import answers, connections
from code_servers.server import Kind, Server, label
from code_servers.slots import forget, other_slot, port_of, slot_of, switch_to, tell_haproxy
from code_servers.units import Units

POLL_SECONDS = 0.1
SLOW_POLL_SECONDS = 2.0
# Somebody waits for the slot of a server whose runs may take days.
RUNS_SECONDS = 10.0
LONG_SECONDS = 60.0


class Location:
    """A name and the files of that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.file = SPECIFICATIONS / f"{name}.json"
        self.before = SPECIFICATIONS / f"{name}.before"
        """The id of the server that a switch has left, until that is settled."""

    # What is wanted.

    def wanted(self) -> Specification:
        """Return the specification that was written for it."""
        try:
            found: Specification = json.loads(self.file.read_text(encoding="utf-8"))
        except OSError as error:
            raise Failed(f"Location {self.name} is not on this host: {error}") from error
        return found

    def want(self, specification: Specification) -> None:
        """Write the specification, as the role does."""
        write(self.file, json.dumps(specification, indent=4, sort_keys=True) + "\n", 0o600)

    def with_version(self, reference: str) -> Specification:
        """Return the specification with another image or release."""
        return {**self.wanted(), self.kind.version_key: reference}

    @property
    def kind(self) -> Kind:
        """Return what its servers run in."""
        if self.file.exists():
            return Units() if Units.version_key in self.wanted() else Containers()
        return Units() if Units().servers(self.name) else Containers()

    # What is there.

    def serving(self) -> Server | None:
        """Return the server that new connections go to, or None."""
        slot = slot_of(self.name)
        return next((each for each in self.kind.servers(self.name) if each.slot == slot), None)

    def others(self) -> list[Server]:
        """Return the servers beside that one."""
        serving = self.serving()
        return [each for each in self.kind.servers(self.name) if not serving or each.id != serving.id]

    def waiting(self) -> Server | None:
        """Return the server that a switch has left, if it can serve again."""
        left = self.before.read_text(encoding="utf-8") if self.before.exists() else None
        able = [each for each in self.others() if each.running and not each.ending]
        return next((each for each in able if each.id == left), None)

    def settled(self) -> Server | None:
        """Return the server that serves, or None, after mending what a crash left half-done."""
        serving = self.serving()
        if serving:
            tell_haproxy(self.name, serving.slot)
            self.kind.promote(self.name, serving)
        return serving

    def differences(self, serving: Server | None, specification: Specification) -> list[str]:
        """Return what an exchange would change, for people; nothing when none is due."""
        kind = self.kind
        if serving is None:
            return ["it is not served yet"]
        if not serving.running:
            return [f"its server is {serving.state}"]
        if serving.label != label(kind, specification):
            old = json.loads(serving.label or "{}")
            return [key for key in kind.made_of if old.get(key) != specification[key]] or ["its slot"]
        if serving.environment != secrets_written(self.name):
            return ["its secrets"]
        # What has to be pulled first is not there to be compared with.
        reference = specification[kind.version_key]
        if kind.version(self.name, reference) not in ("", serving.version):
            return [f"the content of {kind.version_key} {reference}"]
        return []

    # Exchanging.

    def beside(self, serving: Server | None, specification: Specification) -> Server:
        """Return a server of this specification in the other slot, once it answers."""
        kind, slot = self.kind, other_slot(serving.slot if serving else "green")
        kind.require(self.name, specification)
        server = None
        for other in self.others():
            if not other.ending and not self.differences(other, specification):
                server = other
            else:
                self.make_way(other)
        if server and server.served:
            return server
        server = server or kind.start(self.name, specification, slot)
        try:
            self._await_answer(server, port_of(specification, slot), specification["start_seconds"])
            kind.check(self.name, server, specification)
        except BaseException:
            kind.remove(server)
            raise
        return server

    def _await_answer(self, server: Server, port: int, seconds: int) -> None:
        """Return when the server answers; raise Failed with its last lines when it never will."""
        deadline = time.monotonic() + seconds
        while not answers(port):
            if self.kind.stumbled(server):
                raise Failed(self.last_lines(server, "stopped"))
            if time.monotonic() > deadline:
                raise Failed(self.last_lines(server, f"did not answer within {seconds} seconds"))
            time.sleep(POLL_SECONDS)

    def last_lines(self, server: Server, what: str) -> str:
        """Return what became of a server, and what it printed last."""
        return f"The code server of {self.name} {what}. Its last lines:\n{self.kind.last_lines(server)}"

    def serve_from(self, server: Server) -> None:
        """Send new connections to this server."""
        switch_to(self.name, server.slot)
        self.kind.promote(self.name, server)

    # Letting go.

    def quiet(self, server: Server) -> None:
        """Wait until nobody is connected to a server, as long as calls may take.

        A client with a call under way sends its next one over the same connection. gRPC servers drop a call
        that comes in at the very moment of their end.
        """
        deadline = time.monotonic() + self.wanted()["drain_seconds"]
        while connections(server.port) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def end(self, server: Server) -> None:
        """Tell a server to end with its last call and its last run, and not to come back."""
        self.kind.leave_down(server)
        # One that does not answer any more has ended, or will be made to.
        with contextlib.suppress(Failed), here(server.port) as connection:
            shut_down(connection)

    def server_id(self, server: Server) -> str:
        """Return by which id Dagster knows a server."""
        with here(server.port) as connection:
            return server_id(connection)

    def ended(self, server: Server, patience: float) -> bool:
        """Wait until a server that was told to end has; tell whether it did in time."""
        started = time.monotonic()
        while not self.kind.ended(server):
            waited = time.monotonic() - started
            if waited > patience:
                return False
            time.sleep(POLL_SECONDS if waited < LONG_SECONDS else SLOW_POLL_SECONDS)
        return True

    def make_way(self, server: Server) -> None:
        """Let go of a server whose slot is needed; raise Failed when it has runs that do not end soon."""
        patience = self.kind.patience
        if server.served and server.running:
            if not server.ending:
                self.quiet(server)
                self.end(server)
            runs_end = self.ended(server, RUNS_SECONDS if math.isinf(patience) else patience)
            if not runs_end and math.isinf(patience):
                raise Failed(
                    f"Runs of {self.name} go on in the server before the one that serves ({server.name}), "
                    "and there is no third slot: do it again once they have ended"
                )
        self.kind.remove(server)

    def remember(self, before: Server | None = None) -> None:
        """Note which version serves, and remove those that have not for long."""
        if before and not versions.noted(self.name):
            old = json.loads(before.label or "{}").get(self.kind.version_key, before.version)
            versions.came(self.name, old)
        versions.serves(self.name, self.kind, self.wanted())

    def remove(self) -> None:
        """Serve it no more: its servers, files and slot go."""
        kind = self.kind
        for server in kind.servers(self.name):
            kind.remove(server)
        forget(self.name)
        versions.forget(self.name)
        for file in (self.file, self.before):
            file.unlink(missing_ok=True)
