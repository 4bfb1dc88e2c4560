"""The four places a secret can come from; an error names the secret, what was tried and the next step."""

import os
import secrets
import stat
import string
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dagfleet.errors import ConfigurationError
from dagfleet.fleet.model import Generated

COMMAND_SECONDS = 60
_ALPHABET = string.ascii_letters + string.digits


def from_command(
    name: str, command: Sequence[str], *, directory: Path, seconds: float = COMMAND_SECONDS
) -> str:
    """Return what `command` prints, without its last newline; it runs in `directory`, without a shell."""
    tried = f'secret "{name}": the command "{" ".join(command)}"'
    fix = f"run it by hand in {directory}, or change secrets.{name}.command"
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigurationError(
            f"{tried} cannot run: there is no program {command[0]}",
            fix=f"install {command[0]}, or change secrets.{name}.command",
        ) from None
    except PermissionError:
        raise ConfigurationError(f"{tried} cannot run: {command[0]} is not executable", fix=fix) from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{tried} did not end within {seconds:g} s", fix=fix) from None
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        raise ConfigurationError(
            f"{tried} ended with {done.returncode}: {complaint or 'no message'}", fix=fix
        )
    return _text(done.stdout, tried, fix)


def from_environment(name: str, variable: str, environ: Mapping[str, str]) -> str:
    """Return the operator's environment variable."""
    value = environ.get(variable)
    if not value:
        state = "empty" if variable in environ else "not set"
        raise ConfigurationError(
            f'secret "{name}": the environment variable {variable} is {state}', fix=f"export {variable}=..."
        )
    return value


def from_file(name: str, file: str, *, directory: Path) -> str:
    """Return a file's text without its last newline; nobody but its owner may be allowed to read it."""
    return read_private(name, directory / Path(file).expanduser())


def generated(name: str, recipe: Generated, *, directory: Path) -> str:
    """Return the secret made up for this fleet, from `directory`; make it when it is not there yet."""
    path = directory / name
    if not path.exists():
        _create(path, _made_up(recipe))
    return read_private(name, path)


def read_private(name: str, path: Path) -> str:
    """Return the text of a file that only its owner may read."""
    tried = f'secret "{name}": the file {path}'
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigurationError(
                    f"{tried} can be read by others (mode {mode:04o})", fix=f"chmod 600 {path}"
                )
            content = file.read()
    except FileNotFoundError:
        raise ConfigurationError(
            f"{tried} does not exist", fix=f"write it, or change secrets.{name}.file"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{tried} cannot be read: {error.strerror}", fix=f"look at {path}"
        ) from error
    return _text(content, tried, f"write the secret to {path}")


def _made_up(recipe: Generated) -> str:
    def random() -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(recipe.length))

    return "\n".join(f"{user}:{random()}" for user in recipe.users) if recipe.users else random()


def _create(path: Path, value: str) -> None:
    """Write `path` at once and whole, or leave the one that somebody else wrote in the meantime."""
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


def _text(content: bytes, tried: str, fix: str) -> str:
    try:
        value = content.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{tried} gives something that is not text", fix=fix) from None
    if not value:
        raise ConfigurationError(f"{tried} gives nothing", fix=fix)
    return value
