"""What the program can do. The answer is a line of JSON, an error two lines on standard error."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from dagfleet_backup import settings
from dagfleet_backup.database import Server
from dagfleet_backup.errors import BackupError
from dagfleet_backup.settings import Settings
from dagfleet_backup.shelf import Shelf, described
from dagfleet_backup.standby import PKI, follow, mesh_identity, replace, serve
from dagfleet_backup.work import STORAGE, create, restore, verify

LOOKING = ("list", "state", "send", "serve", "replica")
STANDBY = Path("/var/lib/dagfleet/standby.json")


def main(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    # Whoever ends us wants nothing left behind.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    options = _parser().parse_args(arguments)
    try:
        answer = _answer(options)
        if answer is not None:
            print(json.dumps(answer), flush=True)
    except BackupError as error:
        return _tell(str(error), error.fix)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _tell(
                f"the disk is full: {error.filename or options.command}",
                "make room, or keep fewer backups (backup.keep)",
            )
        return _tell(f"{error.filename or options.command}: {error.strerror}", "")
    return 0


def _tell(message: str, fix: str) -> int:
    if "No space left on device" in message:
        fix = "make room, or keep fewer backups (backup.keep)"
    print(f"{message}\n{fix}", file=sys.stderr, flush=True)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="backup")
    parser.add_argument("--settings", default=settings.FILE)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("create", "list", "state", "serve", "replica"):
        commands.add_parser(name)
    follower = commands.add_parser("follow")
    follower.add_argument("--pki", type=Path, default=PKI)
    follower.add_argument("--note", type=Path, default=STANDBY)
    for name in ("send", "receive", "verify", "restore"):
        command = commands.add_parser(name)
        command.add_argument("name", nargs="?" if name == "verify" else None)
        if name in ("verify", "restore"):
            command.add_argument(
                "--identity", action="store_true", help="age's secret key comes on standard input"
            )
        if name == "restore":
            command.add_argument("--force", action="store_true", help="in place of a database that has runs")
    return parser


def _answer(options: argparse.Namespace) -> Any:
    """Return what is to be printed, or None."""
    chosen = settings.read(options.settings)
    if options.command == "follow":
        return _follow(chosen, options.pki, options.note)
    with ExitStack() as stack:
        # What only root may read or write is opened here, before root is given up for good.
        configuration = _read(chosen.configuration) if options.command == "create" else {}
        releases = stack.enter_context(_open(chosen.releases)) if options.command == "restore" else None
        settings.become(chosen.account)
        shelf = Shelf(chosen.directory, chosen.fleet)
        server = Server(chosen.host, chosen.port, chosen.user)
        if options.command in LOOKING:
            return _look(options, chosen, shelf, server)
        stack.enter_context(shelf.alone())
        if options.command == "receive":
            return described(shelf.receive(sys.stdin.buffer, options.name))
        if options.command == "create":
            return create(chosen, shelf, server, configuration)
        identity = sys.stdin.read() if options.identity else ""
        path = shelf.path(options.name or _newest(shelf))
        if releases is None:
            return verify(chosen, shelf, server, path, identity)
        return restore(chosen, shelf, server, path, identity, releases=releases, force=options.force)


def _follow(chosen: Settings, pki: Path, note: Path) -> dict[str, Any]:
    """Fetch what the control host has; the note tells `dagfleet status` how old this copy is."""
    with ExitStack() as stack:
        context = mesh_identity(pki)
        told, releases = (stack.enter_context(_open(path)) for path in (note, chosen.releases))
        settings.become(chosen.account)
        shelf = Shelf(chosen.directory, chosen.fleet)
        stack.enter_context(shelf.alone())
        answer = follow(chosen, shelf, context, releases)
        if chosen.replica:
            answer["replica"] = Server(chosen.host, chosen.port, chosen.user).replica()
        replace(told, json.dumps(answer) + "\n")
    return answer


def _look(options: argparse.Namespace, chosen: Settings, shelf: Shelf, server: Server) -> Any:
    if options.command == "list":
        return [described(shelf.path(name)) for name in shelf.names()]
    if options.command == "state":
        return {"runs": server.runs(STORAGE) if STORAGE in server.databases() else 0}
    if options.command == "replica":
        return server.replica()
    if options.command == "serve":
        serve(shelf, chosen.releases, sys.stdin.buffer, sys.stdout.buffer)
        return None
    with shelf.path(options.name).open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
    return None


def _newest(shelf: Shelf) -> str:
    names = shelf.names()
    if not names:
        raise BackupError(
            f"there is no backup of {shelf.fleet} in {shelf.directory} yet",
            fix="make one: dagfleet backup create",
        )
    return names[-1]


def _open(path: Path) -> IO[str]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    return open(descriptor, "r+", encoding="utf-8")  # noqa: PTH123 -- a descriptor has no path


def _read(paths: Sequence[str]) -> dict[str, bytes]:
    return {path: Path(path).read_bytes() for path in paths if Path(path).is_file()}
