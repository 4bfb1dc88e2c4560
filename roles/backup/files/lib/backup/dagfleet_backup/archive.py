"""The file itself: a tar whose first member says what the others must be, sealed with age for a recipient."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from dagfleet_backup.errors import BackupError
from dagfleet_backup.programs import feed, said, start

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_BYTES = 64 << 20
CHUNK = 1 << 20


def write(target: Path, members: Mapping[str, Path], facts: Mapping[str, Any], *, recipient: str) -> None:
    """Write a backup of these files (name in the archive to path); `facts` go into its manifest."""
    described: dict[str, dict[str, Any]] = {
        name: {"size": path.stat().st_size, "sha256": _hash(path)} for name, path in members.items()
    }
    manifest = json.dumps({"format": FORMAT, **facts, "members": described}, indent=1).encode()
    with target.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        with (
            _sealing(file, recipient) as stream,
            tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            tar.addfile(_entry(MANIFEST, len(manifest)), io.BytesIO(manifest))
            for name, path in members.items():
                with path.open("rb") as member:
                    tar.addfile(_entry(name, described[name]["size"]), member)


def unpack(archive: Path, desk: Path, *, identity: str) -> dict[str, Any]:
    """Unpack a backup into an empty directory, return its manifest; raises BackupError if it is damaged."""
    with _opening(archive, identity) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                return _unpacked(tar, archive, desk)
        except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
            raise damaged(archive, str(error) or type(error).__name__) from None


def damaged(archive: Path, why: str) -> BackupError:
    """Return the error for a file that is not what was written."""
    return BackupError(f"{archive.name} is damaged: {why}", fix="take another one: dagfleet backup list")


def _unpacked(tar: tarfile.TarFile, archive: Path, desk: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = {}
    missing: dict[str, Any] = {}
    for entry in tar:
        content = tar.extractfile(entry) if entry.isreg() else None
        if content is None:
            raise damaged(archive, f"{entry.name} is no file")
        if not manifest:
            if entry.name != MANIFEST or entry.size > MANIFEST_BYTES:
                raise damaged(archive, "it does not begin with a manifest")
            manifest = json.loads(content.read())
            if manifest["format"] != FORMAT:
                raise BackupError(
                    f"{archive.name} has format {manifest['format']}, this Dagfleet reads format {FORMAT}",
                    fix="use the Dagfleet that made it, or a newer one",
                )
            missing = dict(manifest["members"])
            continue
        # Only what the manifest names is written, so that no name can lead out of the directory.
        wanted = missing.pop(entry.name, None)
        if wanted is None or entry.size != wanted["size"]:
            raise damaged(archive, f"{entry.name} is not what its manifest says")
        path = desk / entry.name
        if desk not in path.resolve().parents:
            raise damaged(archive, f"{entry.name} lies outside")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with path.open("xb") as file:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != wanted["sha256"]:
            raise damaged(archive, f"{entry.name} has another sha256 than its manifest says")
    if not manifest or missing:
        raise damaged(archive, f"{', '.join(missing) or 'its manifest'} is missing")
    return manifest


@contextmanager
def _sealing(file: IO[bytes], recipient: str) -> Iterator[IO[bytes]]:
    if not recipient:
        yield file
        return
    age = start(["age", "--encrypt", "--recipient", recipient], stdin=subprocess.PIPE, stdout=file)
    stream = cast("IO[bytes]", age.stdin)
    broken = False
    try:
        yield stream
        stream.close()
    except BrokenPipeError:
        broken = True
    except BaseException:
        age.kill()
        age.wait()
        raise
    age.stdin = None
    _, errors = age.communicate()
    if age.returncode or broken:
        raise BackupError(
            f"age could not encrypt: {said(errors)}",
            fix="look at backup.recipient in fleet.yml, and at the disk",
        )


@contextmanager
def _opening(archive: Path, identity: str) -> Iterator[IO[bytes]]:
    if archive.suffix != ".age":
        with archive.open("rb") as file:
            yield file
        return
    if not identity:
        raise BackupError(
            f"{archive.name} is encrypted",
            fix="name the file with the recipient's secret key: --identity FILE",
        )
    # The key comes by a pipe and goes by a pipe: it is never in a file or on a command line here.
    age = start(
        ["age", "--decrypt", "--identity", "-", str(archive)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    stream = cast("IO[bytes]", age.stdout)
    feed(age.stdin, identity.encode())
    age.stdin = None
    try:
        yield stream
        # What comes after the last member is authenticated, too.
        while stream.read(CHUNK):
            pass
    except BackupError:
        # A tar that ends early is what a key that does not fit looks like from here; age knows better.
        stream.close()
        age.stdout = None
        _, errors = age.communicate()
        if age.returncode > 0:
            raise _refused(archive, errors) from None
        raise
    except BaseException:
        age.kill()
        age.wait()
        raise
    _, errors = age.communicate()
    if age.returncode:
        raise _refused(archive, errors)


def _refused(archive: Path, errors: bytes) -> BackupError:
    return BackupError(
        f"{archive.name} cannot be decrypted: {said(errors)}",
        fix="use the secret key of its recipient, or another backup",
    )


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o600
    return entry


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
