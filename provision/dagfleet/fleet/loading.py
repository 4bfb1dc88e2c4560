"""Finding and reading fleet.yml."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dagfleet.errors import ConfigurationError, FleetFileError, Problem
from dagfleet.fleet.contract import VARIABLE, NoContract, contract_text, merged, read_contract
from dagfleet.fleet.document import Document, KeyPath, MalformedYaml, dotted, read_document
from dagfleet.fleet.mistakes import mistakes
from dagfleet.fleet.model import Fleet
from dagfleet.fleet.rules import broken_rules
from dagfleet.fleet.secret_rules import broken_secret_rules


@dataclass(frozen=True)
class FleetFile:
    """A fleet and the file that describes it."""

    path: Path
    fleet: Fleet
    # What Terraform said when the file was read, for processes that read it again: one answer a command.
    contract: str | None = field(default=None, compare=False)

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


def load_fleet(path: Path, *, environ: Mapping[str, str] = os.environ) -> FleetFile:
    """Read a fleet file, and from Terraform what it leaves to that.

    Raises FleetFileError with all of its problems, in the order of the file.
    """
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
    heard: list[Mapping[str, Any]] = []

    def ask(where: str) -> Mapping[str, Any]:
        heard.append(read_contract(where, folder=path.absolute().parent, environ=environ))
        return heard[0]

    fleet = parse_fleet(text, name=str(path), ask=ask)
    if environ.get(VARIABLE) and not heard:
        fact = (
            f"${VARIABLE} is set, but this file takes nothing from Terraform; write terraform: ., or unset it"
        )
        raise FleetFileError(str(path), [Problem(line=None, key="", fact=fact)])
    return FleetFile(path=path.absolute(), fleet=fleet, contract=contract_text(heard[0]) if heard else None)


def parse_fleet(text: str, *, name: str, ask: Callable[[str], Mapping[str, Any]] | None = None) -> Fleet:
    """Read a fleet from text; `name` is what the errors call it.

    `ask` returns the contract for the value of the file's `terraform` key, or raises NoContract.
    """
    document = _mapping(text, name)
    where = document.data.get("terraform")
    facts: list[tuple[KeyPath, str]] = []
    written = document
    if isinstance(where, str) and where and ask:
        try:
            document, twice = merged(document, ask(where))
        except NoContract as error:
            problem = Problem(line=document.line(("terraform",)), key="terraform", fact=str(error))
            raise FleetFileError(name, [problem]) from None
        facts += [(path, f"{where} says it too; keep it there or here") for path in twice]
    if ("control", "host") in document.lines and ("control", "host") not in written.lines:
        facts += [
            (path, "a failover writes control.host, which Terraform says; let this file say control.host")
            for path in [("control", "standby")]
            if path in document.lines
        ]
    facts += [*broken_rules(document.data), *broken_secret_rules(document.data)]
    fleet = None
    try:
        fleet = Fleet.model_validate(document.data)
    except ValidationError as error:
        facts += mistakes(error, document.data)
    found: list[tuple[KeyPath, int | None, str]] = [
        (path, line, f"written twice, first in line {document.line(path)}; keep one")
        for path, line in document.duplicates
    ]
    for path, fact in facts:
        foreign = path in document.lines and path not in written.lines
        found.append((path, document.line(path), f"{fact} (from {where})" if foreign else fact))
    if found or fleet is None:
        raise FleetFileError(name, _in_order(found))
    return fleet


def _mapping(text: str, name: str) -> Document:
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
    return document


def _in_order(found: Iterable[tuple[KeyPath, int | None, str]]) -> list[Problem]:
    problems = dict.fromkeys(Problem(line=line, key=dotted(path), fact=fact) for path, line, fact in found)
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.key))
