"""One run of ansible-playbook."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from dagfleet.errors import DagfleetError
from dagfleet.fleet.contract import VARIABLE as CONTRACT
from dagfleet.paths import bundle
from dagfleet.runner import strategy
from dagfleet.runner.events import Event, TaskEnded, event
from dagfleet.runner.log import Log
from dagfleet.runner.outcome import Outcome

STOP_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Ansible:
    """How playbooks are run for one fleet. `secrets` travel in the environment, never in argv or a file.

    `contract` is what Terraform said, so that Ansible's inventory is the fleet that was planned for.
    """

    inventory: Path
    secrets: Mapping[str, str]
    log: Log
    mask: Callable[[str], str]
    contract: str | None = None

    def run(
        self,
        playbook: Path,
        *,
        limit: Sequence[str] = (),
        tags: Sequence[str] = (),
        check: bool = False,
        variables: Mapping[str, object] = MappingProxyType({}),
        follow: Callable[[Event, Outcome], None] = lambda _event, _outcome: None,
    ) -> Outcome:
        """Run a playbook to its end and return what it did; `follow` sees every event as it happens.

        `tags` are the roles to run, all of them by default. `check` asks what would change and changes
        nothing. `variables` (no secrets: they stand in argv) come before all others. Ctrl-C ends Ansible
        first, then goes on upwards.
        Raises DagfleetError when ansible-playbook cannot start at all.
        """
        command = [str(_executable()), "-i", str(self.inventory), str(playbook)]
        if limit:
            command += ["--limit", ",".join(limit)]
        if tags:
            command += ["--tags", ",".join(tags)]
        if check:
            command += ["--check", "--diff"]
        command += ["--extra-vars", json.dumps({**strategy.VARIABLES, **variables})]
        self.log.write(f"$ {' '.join(command)}")
        # A process group of its own: Ctrl-C reaches us alone, and we end Ansible in order.
        process = subprocess.Popen(
            command,
            cwd=bundle(),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
        output, errors = _pipes(process)
        complaints: list[str] = []
        reader = threading.Thread(target=self._drain, args=(errors, complaints), daemon=True)
        reader.start()
        try:
            outcome = self._follow(output, follow, complaints)
            process.wait()
        except BaseException:
            _stop(process)
            raise
        finally:
            reader.join(timeout=STOP_SECONDS)
            output.close()
        if process.returncode and not outcome.failures:
            outcome.error = (
                _last_words(complaints) or f"ansible-playbook ended with exit code {process.returncode}"
            )
        return outcome

    def _follow(
        self, lines: IO[str], follow: Callable[[Event, Outcome], None], complaints: list[str]
    ) -> Outcome:
        started = time.monotonic()
        outcome = Outcome()
        for line in lines:
            happened = event(line)
            if happened is None:
                if line.strip():
                    complaints.append(self.mask(line.rstrip()))
                    self.log.write(line)
                continue
            if isinstance(happened, TaskEnded):
                happened = _masked(happened, self.mask)
            self.log.write(_readable(happened))
            outcome.take(happened, elapsed=time.monotonic() - started)
            follow(happened, outcome)
        return outcome

    def _drain(self, stream: IO[str], complaints: list[str]) -> None:
        with stream:
            for line in stream:
                self.log.write(line)
                complaints.append(self.mask(line.rstrip()))

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {
            **inherited,
            **strategy.environment(),
            **({CONTRACT: self.contract} if self.contract else {}),
            "ANSIBLE_CONFIG": str(bundle() / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "dagfleet_json",
            "ANSIBLE_NOCOLOR": "1",
            "DAGFLEET_OPERATOR": str(os.getpid()),
            "DAGFLEET_SECRETS": json.dumps(dict(self.secrets)),
            # Ansible refuses to start under a locale that is not UTF-8.
            "LC_ALL": "C.UTF-8",
            "PATH": f"{_executable().parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
        }


def playbook(name: str) -> Path:
    """Return the path of a shipped playbook."""
    return bundle() / "playbooks" / f"{name}.yml"


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("ansible-playbook was started without pipes")
    return process.stdout, process.stderr


def _executable() -> Path:
    path = Path(sys.executable).parent / "ansible-playbook"
    if not path.exists():
        raise DagfleetError(
            f"ansible-playbook is missing beside {sys.executable}",
            fix="install dagfleet again, with its dependencies, into this Python environment",
        )
    return path


def _masked(ended: TaskEnded, mask: Callable[[str], str]) -> TaskEnded:
    facts = _deep(ended.facts, mask)
    diff = tuple(mask(part) for part in ended.diff)
    return replace(ended, facts=facts, error=mask(ended.error), diff=diff)


def _deep(value: Any, mask: Callable[[str], str]) -> Any:
    match value:
        case str():
            return mask(value)
        case Mapping():
            return {key: _deep(part, mask) for key, part in value.items()}
        case list() | tuple():
            return [_deep(part, mask) for part in value]
    return value


def _readable(happened: Event) -> str:
    match happened:
        case TaskEnded(host, task, status):
            details = "" if happened.hidden or not happened.facts else f" {json.dumps(dict(happened.facts))}"
            diffs = "".join(f"\n{diff}" for diff in happened.diff)
            return f"{status:<11} {host}: {task}{details}{diffs}"
        case _:
            return str(happened)


def _last_words(complaints: Sequence[str]) -> str | None:
    """Return what ansible-playbook said before it gave up: its first ERROR! line and what follows it."""
    for number, line in enumerate(complaints):
        if line.startswith(("ERROR!", "[ERROR]", "fatal:")):
            text = " ".join(part.strip() for part in complaints[number : number + 4] if part.strip())
            return text.removeprefix("ERROR!").removeprefix("[ERROR]:").strip()[:600]
    return next((line for line in reversed(complaints) if line.strip()), None)


def _stop(process: subprocess.Popen[str]) -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return
