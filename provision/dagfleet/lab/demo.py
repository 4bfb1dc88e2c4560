"""`make demo`: from nothing to real runs on a practice fleet; `make demo-down` removes it again."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console

from dagfleet import lab
from dagfleet.control.connect import session
from dagfleet.errors import EXIT_FAILED, EXIT_OK, DagfleetError
from dagfleet.fleet import FleetFile, load_fleet
from dagfleet.lab import engine, showcase
from dagfleet.paths import bundle
from dagfleet.secrets import Secrets

WIDTH = 72


class Narrator:
    """Prints one line for each finished phase; on a terminal, also what is going on meanwhile."""

    def __init__(self) -> None:
        self._console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)

    def done(self, title: str, seconds: float) -> None:
        """Print a phase that took `seconds`."""
        self._console.print(f"{title:<{WIDTH}}{seconds:5.0f} s", markup=False)

    def say(self, text: str = "") -> None:
        """Print a line."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def working(self, title: str) -> Iterator[None]:
        """Show `title` with a spinner while the block runs, if somebody watches."""
        watched = self._console.is_terminal
        with self._console.status(title) if watched else nullcontext():
            yield


def main() -> int:
    """Run the demo or take it down; return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--started", type=float, default=time.time(), help="Unix time at which the whole began"
    )
    parser.add_argument("--down", action="store_true", help="remove what the demo made")
    arguments = parser.parse_args()
    narrator = Narrator()
    fleet_file = load_fleet(bundle() / "inventory" / "lab" / "fleet.yml")
    try:
        return (
            _down(narrator, fleet_file) if arguments.down else _demo(narrator, fleet_file, arguments.started)
        )
    except DagfleetError as error:
        narrator.say(error.message)
        if error.fix:
            narrator.say(f"  {error.fix}")
        return error.exit_code
    except KeyboardInterrupt:
        narrator.say("interrupted; make demo goes on where it was, make demo-down removes it")
        return 130


def _demo(narrator: Narrator, fleet_file: FleetFile, began: float) -> int:
    narrator.done("python environment", time.time() - began)
    with narrator.working("practice machines"):
        lab.up(fleet_file, narrator.done, web_port=lab.WEB_PORT)
    _apply(narrator, fleet_file)
    password = _write_password(fleet_file)
    users = Secrets(fleet_file).resolve("web_users")
    with narrator.working("runs"), session(fleet_file, users) as opened:
        started = time.monotonic()
        shown = showcase.run(opened, fleet_file)
        narrator.done("runs", time.monotonic() - started)
    for line in showcase.table(shown):
        narrator.say(line)
    if wrong := showcase.complaints(shown):
        for line in wrong:
            narrator.say(line)
        return EXIT_FAILED
    minutes, seconds = divmod(round(time.time() - began), 60)
    narrator.say(f"your fleet is up in {minutes} min {seconds} s")
    narrator.say(f"  https://127.0.0.1:{lab.WEB_PORT}   user demo   password in {_relative(password)}")
    file = _relative(fleet_file.path)
    commands = {
        f".venv/bin/dagfleet -f {file} status": "what runs where",
        f".venv/bin/dagfleet -f {file} doctor": "is everything well, and if not, what is broken",
        "make demo-down": "remove all of it",
    }
    width = max(map(len, commands))
    for command, meaning in commands.items():
        narrator.say(f"  {command:<{width}}   {meaning}")
    return EXIT_OK


def _apply(narrator: Narrator, fleet_file: FleetFile) -> None:
    started = time.monotonic()
    command = [str(Path(sys.executable).parent / "dagfleet"), "-f", str(fleet_file.path), "apply", "-y"]
    with narrator.working("dagfleet apply"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    narrator.done("dagfleet apply", time.monotonic() - started)
    for line in done.stdout.splitlines():
        narrator.say(f"  {line}")
    if done.returncode:
        raise DagfleetError(
            f"dagfleet apply ended with exit code {done.returncode}:\n{done.stderr.strip()}",
            fix="mend it and run make demo again; what is up already stays",
        )


def _write_password(fleet_file: FleetFile) -> Path:
    folder = bundle() / ".demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    login = Secrets(fleet_file).resolve("web_users").splitlines()[0]
    path = folder / "password"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(login.partition(":")[2] + "\n")
    return path


def _down(narrator: Narrator, fleet_file: FleetFile) -> int:
    removed = 0
    if engine.answers():
        removed = lab.down(fleet_file)
    narrator.say(f"{removed} machines and their network removed")
    # Keys and passwords of machines that are no more.
    shutil.rmtree(fleet_file.state, ignore_errors=True)
    shutil.rmtree(bundle() / ".demo", ignore_errors=True)
    if engine.stop_if_ours():
        narrator.say("the Docker Engine that the demo started has ended")
    narrator.say("cached images stay in .build, so that the next demo is quick; make clean removes them")
    return EXIT_OK


def _relative(path: Path) -> str:
    return os.path.relpath(path)


if __name__ == "__main__":
    sys.exit(main())
