"""A code location's Python: projects and requirements files, and the lock that follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dagfleet.errors import ConfigurationError
from dagfleet.image.digest import content_digest, tree
from dagfleet.image.locks import control_plane_lock
from dagfleet.image.scratch import scratch_folder
from dagfleet.image.target import Target
from dagfleet.image.uv import run_uv
from dagfleet.paths import cache

LOCK = "requirements.txt"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Folders with code, each perhaps with its own requirements.txt, and requirements files besides them."""

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    dagster: str
    """The fleet's version of Dagster: what requirements without pins are resolved for."""

    @classmethod
    def of(cls, paths: Iterable[Path], *, dagster: str) -> "Sources":
        """Sort `paths` into folders and files; raise ConfigurationError when one does not exist."""
        found = tuple(paths)
        for path in found:
            if not path.exists():
                raise ConfigurationError(f"{path} does not exist", fix="correct the path in fleet.yml")
        return cls(
            folders=tuple(path for path in found if path.is_dir()),
            files=tuple(path for path in found if not path.is_dir()),
            dagster=dagster,
        )

    def digest(self, target: Target) -> str:
        """Return a digest of everything that decides what is installed."""
        parts = [
            (f"{index}/{name}", data)
            for index, folder in enumerate(self.folders)
            for name, data in tree(folder)
        ]
        parts += [(f"file {index}", path.read_bytes()) for index, path in enumerate(self.files)]
        if not self._locked():
            parts.append(("constraints", self._constraints().read_bytes()))
        return content_digest([*parts, ("target", str(target).encode())])

    def lock(self, target: Target) -> str:
        """Return the third-party requirements, pinned with hashes.

        The location's own lock when it has one; else resolved now, at the control plane's version of Dagster,
        and kept in the cache.
        """
        if self._locked():
            return "\n".join(path.read_text() for path in self._requirements())
        kept = cache() / "locks" / f"{self.digest(target)[:24]}.txt"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with scratch_folder() as scratch:
                resolved = scratch / "lock.txt"
                self._resolve(target, resolved)
                resolved.rename(kept)
        return kept.read_text()

    def _requirements(self) -> list[Path]:
        beside = [folder / LOCK for folder in self.folders if (folder / LOCK).is_file()]
        return [*beside, *self.files]

    def _locked(self) -> bool:
        files = self._requirements()
        return bool(files) and all("--hash=" in path.read_text() for path in files)

    def _resolve(self, target: Target, output: Path) -> None:
        projects = [folder / "pyproject.toml" for folder in self.folders]
        wanted = [*self._requirements(), *(project for project in projects if project.is_file())]
        # Whatever runs under the fleet's instance needs its storage.
        storage = output.with_name("storage.in")
        storage.write_text("dagster-postgres\n")
        run_uv(
            "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate",
            "--no-emit-index-url", "--only-binary", ":all:",
            "--python-version", target.python, "--python-platform", target.uv_platform,
            "--constraints", str(self._constraints()), "--output-file", str(output),
            str(storage), *map(str, wanted),
            doing=f"resolving the requirements of {', '.join(map(str, (*self.folders, *self.files)))}",
        )  # fmt: skip

    def _constraints(self) -> Path:
        """Return the set of Dagster's packages that the control plane of this version has."""
        return control_plane_lock(self.dagster).with_suffix(".in")
