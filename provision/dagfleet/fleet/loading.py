"""Finding and reading fleet.yml."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from dagfleet.errors import ConfigurationError, FleetFileError, Problem
from dagfleet.fleet.document import KeyPath, MalformedYaml, dotted, read_document
from dagfleet.fleet.mistakes import mistakes
from dagfleet.fleet.model import Fleet
from dagfleet.fleet.rules import broken_rules
from dagfleet.fleet.secret_rules import broken_secret_rules


@dataclass(frozen=True)
class FleetFile:
    """A fleet and the file that describes it."""

    path: Path
    fleet: Fleet

    @property
    def directory(self) -> Path:
        """The folder that paths in the file are relative to."""
        return self.path.parent

    @property
    def state(self) -> Path:
        """The operator's folder for keys, generated secrets and logs; never in git."""
        return self.directory / ".dagfleet"


def find_fleet_file(option: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Path:
    """Return `option`, else $DAGFLEET_FILE, ./fleet.yml, or the only ./inventory/*/fleet.yml.

    Raises ConfigurationError when there is none, or several to choose from.
    """
    if option is not None:
        return option
    if named := environ.get("DAGFLEET_FILE"):
        return Path(named)
    if (here := Path("fleet.yml")).is_file():
        return here
    found = sorted(Path("inventory").glob("*/fleet.yml"))
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(
            f"there are {len(found)} fleet files: {', '.join(map(str, found))}",
            fix=f"choose one, such as --file {found[0]}, or export DAGFLEET_FILE",
        )
    raise ConfigurationError(
        "there is no fleet.yml here, nor one in ./inventory/*/",
        fix="write one with dagfleet init, or name one with --file",
    )


def load_fleet(path: Path) -> FleetFile:
    """Read a fleet file; raise FleetFileError with all of its problems, in the order of the file."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FleetFileError(
            str(path),
            [Problem(line=None, key="", fact="there is no such file; write one with dagfleet init")],
        ) from None
    except IsADirectoryError:
        raise FleetFileError(
            str(path), [Problem(line=None, key="", fact="this is a folder; name the fleet.yml in it")]
        ) from None
    except UnicodeDecodeError as error:
        raise FleetFileError(
            str(path),
            [Problem(line=None, key="", fact=f"not a text file: byte {error.start + 1} is not UTF-8")],
        ) from None
    except OSError as error:
        raise FleetFileError(
            str(path), [Problem(line=None, key="", fact=f"cannot be read: {error.strerror}")]
        ) from error
    return FleetFile(path=path.absolute(), fleet=parse_fleet(text, name=str(path)))


def parse_fleet(text: str, *, name: str) -> Fleet:
    """Read a fleet from text; `name` is what the errors call it."""
    try:
        document = read_document(text)
    except MalformedYaml as error:
        raise FleetFileError(name, [error.problem]) from None
    if not isinstance(document.data, dict):
        fact = "the file is empty" if document.data is None else "this is not a mapping of keys"
        raise FleetFileError(
            name,
            [Problem(line=document.line(()), key="", fact=f"{fact}; dagfleet init writes one to start from")],
        )
    found = [
        *(
            (path, line, f"written twice, first in line {document.line(path)}; keep one")
            for path, line in document.duplicates
        ),
        *((path, document.line(path), fact) for path, fact in broken_rules(document.data)),
        *((path, document.line(path), fact) for path, fact in broken_secret_rules(document.data)),
    ]
    fleet = None
    try:
        fleet = Fleet.model_validate(document.data)
    except ValidationError as error:
        found += [(path, document.line(path), fact) for path, fact in mistakes(error, document.data)]
    if found or fleet is None:
        raise FleetFileError(name, _in_order(found))
    return fleet


def _in_order(found: list[tuple[KeyPath, int | None, str]]) -> list[Problem]:
    problems = dict.fromkeys(Problem(line=line, key=dotted(path), fact=fact) for path, line, fact in found)
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.key))
