"""Content digests: the same files give the same digest on every machine, whatever their dates and owners."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_GENERATED_ANYWHERE = {
    "__pycache__",
    ".git",
    ".venv",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".DS_Store",
}
_GENERATED_AT_THE_TOP = {"build", "dist", ".dagfleet"}


def source_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files that somebody wrote in `folder`: relative name and path, sorted; no build products."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        generated = (
            not _GENERATED_ANYWHERE.isdisjoint(parts)
            or parts[0] in _GENERATED_AT_THE_TOP
            or any(part.endswith(".egg-info") for part in parts)
            or path.suffix == ".pyc"
        )
        if path.is_file() and not generated:
            yield "/".join(parts), path


def tree(folder: Path) -> list[tuple[str, bytes]]:
    """Return the names and contents of `source_files`."""
    return [(name, path.read_bytes()) for name, path in source_files(folder)]


def content_digest(parts: Iterable[tuple[str, bytes]]) -> str:
    """Return the SHA-256 of named contents in hexadecimal; names and contents cannot run into each other."""
    digest = hashlib.sha256()
    for name, content in parts:
        for field in (name.encode(), content):
            digest.update(len(field).to_bytes(8, "big"))
            digest.update(field)
    return digest.hexdigest()
