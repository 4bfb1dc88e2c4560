"""One host's SSH session, through pyinfra's own connector."""

import importlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from dagfleet.errors import UnreachableError
from dagfleet.probe.quiet import quieten
from dagfleet.probe.refusal import CONNECT_SECONDS, refusal
from dagfleet.probe.target import Target


@dataclass(frozen=True)
class Answer:
    """What a script printed on a host, and whether it exited with 0."""

    ok: bool
    stdout: str
    stderr: str


class Connection:
    """An SSH session. pyinfra runs greenlets of its own, so it belongs to one thread at a time."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._host: Any = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect; raise UnreachableError: no answer, a foreign host key and a refused key are told apart."""
        api = _api()
        target = self.target
        # A session without strict keys would hand our sudo to whoever answers at that address.
        data = {
            "ssh_hostname": target.address,
            "ssh_port": target.port,
            "ssh_user": target.user,
            "ssh_known_hosts_file": str(target.known_hosts),
            "ssh_strict_host_key_checking": "yes",
        }
        if target.key:
            data["ssh_key"] = str(target.key)
        inventory = api.Inventory(([(target.name, data)], {}))
        state = api.State(inventory, api.Config(CONNECT_TIMEOUT=CONNECT_SECONDS))
        host = inventory.get_host(target.name)
        try:
            host.connect(show_errors=False, raise_exceptions=True)
        except (api.exceptions.PyinfraError, OSError) as error:
            raise refusal(target, error) from error
        self._host = host
        # pyinfra's own connect_all does this; facts are read from activated hosts only.
        state.activate_host(host)

    def close(self) -> None:
        """End the session; closing twice is fine."""
        if self._host is not None:
            client = self._host.connector.client
            self._host = None
            client.close()

    def fact(self, fact: type[Any], **arguments: object) -> Any:
        """Return a pyinfra fact of this host; raise UnreachableError when the session broke while reading."""
        value = self._opened().get_fact(fact, **arguments)
        if value is None:
            raise self._broken()
        return value

    def run(self, script: str, *, stdin: str | None = None, timeout: int = 60) -> Answer:
        """Run a POSIX shell script as root; raise UnreachableError when the session breaks meanwhile."""
        import paramiko

        try:
            ok, output = self._opened().run_shell_command(
                as_root(script, user=self.target.user), _stdin=stdin, _timeout=timeout
            )
        except (OSError, EOFError, TimeoutError, paramiko.SSHException) as error:
            raise self._broken() from error
        return Answer(ok, output.stdout, output.stderr)

    def operate(self, operations: Callable[[Any], None]) -> None:
        """Run pyinfra operations here: `operations` receives the pyinfra state and adds them."""
        state = self._opened().state
        operations(state)
        importlib.import_module("pyinfra.api.operations").run_ops(state)

    def _opened(self) -> Any:
        if self._host is None:
            self.open()
        return self._host

    def _broken(self) -> UnreachableError:
        self.close()
        return UnreachableError(
            f"{self.target.name} ({self.target.endpoint}) stopped answering in the middle of a command",
            fix=f"see that it is up: ssh -p {self.target.port} {self.target.user}@{self.target.address}",
        )


def as_root(script: str, *, user: str) -> Any:
    """Return the command that runs `script` as root: as it is for root, with `sudo -n` for everyone else."""
    command = f"sh -c {shlex.quote(script)}"
    if user != "root":
        command = f"sudo -n {command}"
    return _api().StringCommand(command)


def _api() -> Any:
    quieten()
    api: Any = importlib.import_module("pyinfra.api")
    importlib.import_module("pyinfra.api.exceptions")
    return api
