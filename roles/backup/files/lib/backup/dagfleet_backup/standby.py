"""A copy of everything on another host: the control host serves its backups, its standby fetches them.

A connection is one question, a line: `catalogue`, answered by a line of JSON, or `send NAME`, answered by
the backup itself. Who may ask is the mesh's to decide (ALPN `backups.dagfleet`).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import time
from pathlib import Path
from typing import IO, Any

from dagfleet_backup.errors import BackupError
from dagfleet_backup.settings import Settings, Source
from dagfleet_backup.shelf import Shelf, described

PROTOCOL = "backups.dagfleet"
PKI = Path("/etc/dagfleet/pki")
SECONDS = 30
LONGEST = 256


def serve(shelf: Shelf, releases: Path, question: IO[bytes], answer: IO[bytes]) -> None:
    """Answer one question."""
    word, _, name = question.readline(LONGEST).decode(errors="replace").strip().partition(" ")
    if word == "send":
        with shelf.path(name).open("rb") as file:
            shutil.copyfileobj(file, answer, 1 << 20)
    elif word == "catalogue":
        history = releases.read_text(encoding="utf-8") if releases.exists() else ""
        backups = [described(shelf.path(each)) for each in shelf.names()]
        answer.write(json.dumps({"backups": backups, "releases": history}).encode() + b"\n")
    else:
        raise BackupError(f"nobody asks for {word!r} here")
    answer.flush()


def mesh_identity(pki: Path = PKI) -> ssl.SSLContext:
    """Return this host's own identity in the mesh, and whom it believes; only root may read it."""
    try:
        context = ssl.create_default_context(cafile=str(pki / "mesh-ca.crt"))
        context.load_cert_chain(pki / "mesh-client.pem", pki / "mesh-client.pem.key")
    except OSError as error:
        raise BackupError(
            f"the certificates in {pki} cannot be used: {error.strerror or error}", fix="dagfleet apply"
        ) from None
    context.set_alpn_protocols([PROTOCOL])
    return context


def follow(chosen: Settings, shelf: Shelf, context: ssl.SSLContext, releases: IO[str]) -> dict[str, Any]:
    """Fetch what the control host has and this one lacks: backups, and the fleet's history."""
    source = chosen.source
    if source is None:
        raise BackupError(
            "this host stands by for none", fix="control.standby in fleet.yml names the one that does"
        )
    try:
        with _asked(source, context, "catalogue") as answer:
            found = json.loads(answer.readline())
        here = shelf.names()
        for each in reversed(found["backups"][-chosen.keep :]):
            if each["name"] not in here:
                _fetch(shelf, source, context, each)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"{source.host} ({source.endpoint}) does not hand over its backups: {_why(error)}",
            fix=f"see that {source.host} is up, and the mesh with it: dagfleet doctor",
        ) from None
    gone = shelf.thin_out(chosen.keep)
    replace(releases, found["releases"])
    newest = described(shelf.path(names[-1])) if (names := shelf.names()) else None
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    return {"at": now, "newest": newest, "deleted": gone}


def _fetch(shelf: Shelf, source: Source, context: ssl.SSLContext, backup: dict[str, Any]) -> None:
    with shelf.desk() as desk, _asked(source, context, f"send {backup['name']}") as answer:
        path = desk / "arriving"
        with path.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            shutil.copyfileobj(answer, file, 1 << 20)
        # A connection that was cut off ends like one that is done.
        if path.stat().st_size != backup["bytes"]:
            raise OSError(f"only {path.stat().st_size} of {backup['bytes']} bytes of {backup['name']} came")
        with path.open("rb") as file:
            shelf.receive(file, backup["name"])


def _asked(source: Source, context: ssl.SSLContext, question: str) -> IO[bytes]:
    plain = socket.create_connection((source.address, source.port), timeout=SECONDS)
    with context.wrap_socket(plain, server_hostname=source.host) as connection:
        connection.sendall(f"{question}\n".encode())
        # The file keeps the connection open until it is closed itself.
        return connection.makefile("rb")


def replace(file: IO[str], text: str) -> None:
    """Let a file say this and nothing else; the same again is no change."""
    file.seek(0)
    if file.read() != text:
        file.seek(0)
        file.write(text)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "its answer is cut off"
