"""Making backups, trying them out, and putting one back."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import IO, Any

from dagfleet_backup import archive
from dagfleet_backup.database import Server, differences
from dagfleet_backup.errors import BackupError
from dagfleet_backup.settings import Settings
from dagfleet_backup.shelf import Shelf, described

STORAGE = "dagster"


def create(chosen: Settings, shelf: Shelf, server: Server, configuration: dict[str, bytes]) -> dict[str, Any]:
    """Make a backup, then delete those that are too many."""
    started = time.monotonic()
    with shelf.desk() as desk:
        members: dict[str, Path] = {}
        databases = {}
        for database, owner in chosen.databases.items():
            members[f"databases/{database}.dump"] = desk / f"{database}.dump"
            tables = server.dump(database, desk / f"{database}.dump")
            databases[database] = {"owner": owner, "tables": tables}
        for number, (name, content) in enumerate(configuration.items()):
            members[f"configuration{name}"] = desk / f"{number}"
            (desk / f"{number}").write_bytes(content)
        if chosen.releases.exists():
            members["releases"] = desk / "releases"
            shutil.copyfile(chosen.releases, desk / "releases")
        name = shelf.new_name(sealed=bool(chosen.recipient))
        facts = {
            "fleet": chosen.fleet,
            "name": name,
            "versions": {**chosen.versions, "postgresql": server.version()},
            "databases": databases,
        }
        archive.write(desk / name, members, facts, recipient=chosen.recipient)
        path = shelf.put(desk / name, name)
    gone = shelf.thin_out(chosen.keep)
    return {**described(path), **_totals(databases), "deleted": gone, "seconds": _since(started)}


def verify(chosen: Settings, shelf: Shelf, server: Server, path: Path, identity: str) -> dict[str, Any]:
    """Restore a backup into scratch databases, compare every table, and drop them."""
    started = time.monotonic()
    with shelf.desk() as desk:
        manifest = archive.unpack(path, desk, identity=identity)
        server.sweep()
        try:
            _rebuild(chosen, server, desk, path, manifest)
        finally:
            server.sweep()
    return {
        **described(path),
        **_totals(manifest["databases"]),
        "versions": manifest["versions"],
        "seconds": _since(started),
    }


def restore(
    chosen: Settings,
    shelf: Shelf,
    server: Server,
    path: Path,
    identity: str,
    *,
    releases: IO[str],
    force: bool,
) -> dict[str, Any]:
    """Put a backup's databases in the place of the fleet's own, all at once, and its history before ours."""
    started = time.monotonic()
    with shelf.desk() as desk:
        manifest = archive.unpack(path, desk, identity=identity)
        _refuse_strange(chosen, path, manifest)
        if not force and (runs := server.runs(STORAGE)):
            raise BackupError(
                f"the database has {runs} runs already",
                fix="if they may be replaced by those of the backup: --force",
            )
        server.sweep()
        try:
            scratch = _rebuild(chosen, server, desk, path, manifest)
            for name in scratch.values():
                server.analyse(name)
            server.replace(scratch)
        except BaseException:
            server.sweep()
            raise
        if (desk / "releases").exists():
            _merge(releases, (desk / "releases").read_text(encoding="utf-8"))
    return {
        **described(path),
        **_totals(manifest["databases"]),
        "versions": manifest["versions"],
        "seconds": _since(started),
    }


def _rebuild(
    chosen: Settings, server: Server, desk: Path, path: Path, manifest: dict[str, Any]
) -> dict[str, str]:
    """Make scratch databases of a backup's dumps; return their names by those of the databases."""
    scratch = {}
    for number, (database, wanted) in enumerate(manifest["databases"].items()):
        owner = chosen.databases.get(database, wanted["owner"])
        scratch[database] = server.load(desk / f"databases/{database}.dump", owner=owner, number=number)
        found = server.counts(scratch[database])
        if told := differences(wanted["tables"], found):
            raise archive.damaged(path, f"of database {database}, {'; '.join(told[:3])}")
    return scratch


def _refuse_strange(chosen: Settings, path: Path, manifest: dict[str, Any]) -> None:
    """Raise BackupError for a backup that does not belong here."""
    if manifest["fleet"] != chosen.fleet:
        raise BackupError(f"{path.name} is of fleet {manifest['fleet']}, and this is {chosen.fleet}")
    then, now = (_numbers(versions["dagster"]) for versions in (manifest["versions"], chosen.versions))
    if then > now:
        raise BackupError(
            f"{path.name} was made with Dagster {manifest['versions']['dagster']}, "
            f"and this fleet has {chosen.versions['dagster']}",
            fix="Dagster's tables cannot go back: set dagster.version in fleet.yml to that of the backup",
        )
    if strange := [name for name in manifest["databases"] if name not in chosen.databases]:
        raise BackupError(
            f"{path.name} has a database {strange[0]}, which this fleet has not",
            fix=f"name it in fleet.yml: postgres.databases.{strange[0]}",
        )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _merge(file: IO[str], restored: str) -> None:
    """Put the backup's releases before those that were made since."""
    file.seek(0)
    known = restored.splitlines()
    since = [line for line in file.read().splitlines() if line not in known]
    # Written behind first and cut off last: a line too many does no harm, one too few would.
    file.seek(0)
    file.write("".join(f"{line}\n" for line in [*known, *since]))
    file.truncate()
    file.flush()
    os.fsync(file.fileno())


def _totals(databases: dict[str, Any]) -> dict[str, Any]:
    tables = [table for database in databases.values() for table in database["tables"].values()]
    runs = databases.get(STORAGE, {}).get("tables", {}).get("public.runs", {"rows": 0})
    return {
        "databases": list(databases),
        "tables": len(tables),
        "rows": sum(table["rows"] for table in tables),
        "runs": runs["rows"],
    }


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)
