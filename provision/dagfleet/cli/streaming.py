"""Commands on hosts whose output is printed as it comes."""

import subprocess
import threading
from collections.abc import Sequence

import click

from dagfleet.cli.terminal import Terminal
from dagfleet.errors import EXIT_UNREACHABLE, DagfleetError
from dagfleet.probe.shell import SSH_FAILED, ssh
from dagfleet.probe.target import Target


def stream(commands: Sequence[tuple[str, Target, Sequence[str]]], terminal: Terminal) -> None:
    """Run a command on each host and print its lines, with the host in front when there are several.

    Returns when all have ended; Ctrl-C ends them. Raises DagfleetError with a failed command's last words.
    """
    width = max(len(host) for host, _, _ in commands) if len(commands) > 1 else 0
    running = [_Stream(host, _start(target, command), terminal, width) for host, target, command in commands]
    try:
        for each in running:
            each.wait()
    finally:
        for each in running:
            each.end()
    failed = [each for each in running if each.process.returncode]
    if failed:
        raise failed[0].error()


def _start(target: Target, command: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ssh(target, command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Docker prints what a container wrote to its standard error there, too.
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


class _Stream:
    def __init__(self, host: str, process: "subprocess.Popen[str]", terminal: Terminal, width: int) -> None:
        self.host, self.process = host, process
        self._last = ""
        self._front = f"{host:<{width}}  " if width else ""
        self._terminal = terminal
        self._reader = threading.Thread(target=self._print, daemon=True)
        self._reader.start()

    def wait(self) -> None:
        self._reader.join()
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def error(self) -> DagfleetError:
        words = self._last or f"ssh ended with exit code {self.process.returncode}"
        error = DagfleetError(f"{self.host}: {words}", fix="see whether it is there: dagfleet status")
        if self.process.returncode == SSH_FAILED:
            error.exit_code = EXIT_UNREACHABLE
        return error

    def _print(self) -> None:
        for line in self.process.stdout or ():
            plain = click.unstyle(line.rstrip("\n"))
            self._last = plain.strip() or self._last
            self._terminal.say(self._front + (line.rstrip("\n") if self._terminal.colour else plain))
