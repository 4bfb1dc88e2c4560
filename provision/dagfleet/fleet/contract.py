"""The fleet contract: the part of fleet.yml that Terraform says, read from its state or its outputs."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagfleet.fleet.document import Document, KeyPath

VERSION = 1
OUTPUT = "dagfleet"
VARIABLE = "DAGFLEET_CONTRACT"
PROGRAMS = ("terraform", "tofu")
# Nothing that runs a program or names a secret: whoever writes a Terraform state is not yet an operator.
KEYS = ("name", "control", "hosts", "docker", "firewall")
_SECONDS = 120


class NoContract(Exception):  # noqa: N818 -- says what is the matter
    """There is no contract to be had; the message says why and what to do."""


def read_contract(where: str, *, folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the fleet part of the contract at `where`, a path relative to `folder`.

    That is a folder with a Terraform configuration, a state file, or a file with `terraform output -json`.
    $DAGFLEET_CONTRACT has the contract itself and goes before: while Terraform applies, its state is not
    written yet. Raises NoContract.
    """
    if given := environ.get(VARIABLE):
        return _checked(_json(given, f"${VARIABLE}"), f"${VARIABLE}")
    path = folder / Path(where).expanduser()
    if path.is_dir():
        return _checked(_output(_outputs_in(path, where, environ), where), where)
    if not path.exists():
        raise NoContract(
            f'there is no folder or file "{where}"; name a Terraform configuration, or its outputs in a file'
        )
    return _checked(_output(_file(path, where), where), where)


def contract_text(fleet: Mapping[str, Any]) -> str:
    """Return the contract as $DAGFLEET_CONTRACT holds it."""
    return json.dumps({"version": VERSION, "fleet": fleet})


def merged(document: Document, contract: Mapping[str, Any]) -> tuple[Document, list[KeyPath]]:
    """Return the file with the contract's keys in it, and the paths that both say.

    What comes from Terraform has the line of the file's `terraform` key.
    """
    twice: list[KeyPath] = []
    data = _merge(document.data, contract, (), twice)
    here = document.line(("terraform",)) or 1
    lines = {**dict.fromkeys(_paths(contract, ()), here), **document.lines}
    return Document(data=data, lines=lines, duplicates=document.duplicates), twice


def _merge(ours: Any, theirs: Mapping[str, Any], path: KeyPath, twice: list[KeyPath]) -> dict[str, Any]:
    result = dict(ours)
    for key, value in theirs.items():
        here, mine = (*path, key), result.get(key)
        if mine is None:
            result[key] = value
        elif isinstance(mine, dict) and isinstance(value, dict):
            result[key] = _merge(mine, value, here, twice)
        else:
            twice.append(here)
    return result


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _paths(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _paths(below, (*path, index))


def _outputs_in(folder: Path, where: str, environ: Mapping[str, str]) -> Any:
    """Return the outputs of a configuration: from its state file where that is certainly the one in use."""
    state = folder / "terraform.tfstate"
    elsewhere = (folder / ".terraform" / "terraform.tfstate").exists()  # a backend is configured
    workspace = (folder / ".terraform" / "environment").exists()
    if state.is_file() and not (elsewhere or workspace or {"TF_WORKSPACE", "TF_DATA_DIR"} & set(environ)):
        return _file(state, f"{where}/{state.name}")
    program = next(
        (found for name in PROGRAMS if (found := shutil.which(name, path=environ.get("PATH")))), None
    )
    if program is None:
        raise NoContract(
            f'"{where}" has no state file, and neither terraform nor tofu is here to ask; install one, or '
            "name a file that holds what terraform output -json prints"
        )
    return _json(_asked(program, folder, where, environ), f"terraform output in {where}")


def _asked(program: str, folder: Path, where: str, environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            [program, f"-chdir={folder}", "output", "-json", "-no-color"],
            env={**environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NoContract(
            f'terraform output in "{where}" said nothing for {_SECONDS} s; see whether its backend answers'
        ) from None
    if done.returncode:
        said = next((line.strip("│╷ ") for line in done.stderr.splitlines() if "Error" in line), "it failed")
        raise NoContract(f'terraform output in "{where}": {said}; try it there by hand')
    return done.stdout


def _file(path: Path, where: str) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NoContract(f'"{where}" cannot be read: {error.strerror}; see who may read it') from None
    except UnicodeDecodeError:
        raise NoContract(f'"{where}" is not a text file; it should be written by Terraform') from None
    return _json(text, f'"{where}"')


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise NoContract(
            f"{what} is not JSON (line {error.lineno}); it should be written by Terraform"
        ) from None


def _output(document: Any, where: str) -> Any:
    """Return the value of the output in a state file or in what `output -json` printed."""
    if not isinstance(document, dict):
        document = {}
    if {"version", "fleet"} <= document.keys():
        return document  # terraform output -json dagfleet
    outputs = document.get("outputs") if "terraform_version" in document else document
    output = outputs.get(OUTPUT) if isinstance(outputs, dict) else None
    if not isinstance(output, dict) or "value" not in output:
        raise NoContract(
            f'"{where}" has no output named {OUTPUT}; write output "{OUTPUT}" {{ value = '
            "module.fleet.contract } and run terraform apply"
        )
    return output["value"]


def _checked(contract: Any, where: str) -> dict[str, Any]:
    fleet = contract.get("fleet") if isinstance(contract, dict) else None
    if not isinstance(fleet, dict):
        raise NoContract(f"{where} holds no fleet contract; its value is module.fleet.contract")
    if (version := contract.get("version")) != VERSION:
        raise NoContract(
            f"{where} holds version {version} of the fleet contract, and this Dagfleet reads version "
            f"{VERSION}; use Terraform modules and a Dagfleet of one release"
        )
    if strange := [key for key in fleet if key not in KEYS]:
        raise NoContract(
            f"{where} says {', '.join(strange)}; Terraform may say {', '.join(KEYS)}, the rest belongs here"
        )
    if plain := [key for key in KEYS[1:] if key in fleet and not isinstance(fleet[key], dict)]:
        raise NoContract(f"{where} says {plain[0]} without keys; its value is module.fleet.contract")
    return fleet
