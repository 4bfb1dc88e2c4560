"""Terraform itself, on copies of this repository's modules and examples."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
MISSING = "Terraform is not installed: nothing of terraform/ was tried"


@dataclass(frozen=True)
class Result:
    code: int
    output: str
    errors: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What a command said with -json."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    @property
    def complaints(self) -> list[str]:
        """The details of the errors, without the note where they were found."""
        found = (event["diagnostic"] for event in self.events if event["type"] == "diagnostic")
        details = [
            one["detail"].split("\n\nThis was checked")[0] for one in found if one["severity"] == "error"
        ]
        return [line for detail in details for line in detail.splitlines()]


@dataclass(frozen=True)
class Terraform:
    folder: Path
    environ: dict[str, str]

    def __call__(self, *arguments: str) -> Result:
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder}", *arguments],
            env={**os.environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", **self.environ},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str) -> Result:
        result = self(*arguments)
        assert result.code == 0, result.output + result.errors
        return result

    def variables(self, **values: Any) -> None:
        """Give these values to the configuration from now on."""
        (self.folder / "given.auto.tfvars.json").write_text(json.dumps(values))

    def apply(self) -> dict[str, Any]:
        """Apply, and return the outputs."""
        self.ok("apply", "-auto-approve", "-no-color")
        return {name: said["value"] for name, said in json.loads(self.ok("output", "-json").output).items()}


@pytest.fixture(scope="session", autouse=True)
def terraform_is_here() -> None:
    if shutil.which("terraform") is None:
        pytest.skip(MISSING)


@pytest.fixture(scope="session")
def empty_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Whatever Terraform is told on this machine, tests go without."""
    file = tmp_path_factory.mktemp("settings") / "terraformrc"
    file.touch()
    return {"TF_CLI_CONFIG_FILE": str(file)}


@pytest.fixture(scope="session")
def cloud_settings() -> dict[str, str]:
    """Settings with the double of the clouds' providers."""
    made = subprocess.run(
        [REPOSITORY / "scripts/terraform_double.sh"], capture_output=True, text=True, check=True
    )
    return {"TF_CLI_CONFIG_FILE": made.stdout.strip()}


@pytest.fixture(scope="session")
def copied(
    tmp_path_factory: pytest.TempPathFactory, empty_settings: dict[str, str]
) -> Callable[..., Terraform]:
    """A function that returns Terraform in a copy of a folder of terraform/, its neighbours beside it."""

    def copy(folder: str, settings: dict[str, str] | None = None) -> Terraform:
        tree = tmp_path_factory.mktemp("terraform")
        left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.auto.tfvars*")
        shutil.copytree(REPOSITORY / "terraform", tree, dirs_exist_ok=True, ignore=left)
        terraform = Terraform(tree / folder, settings or empty_settings)
        terraform.ok("get")
        return terraform

    return copy
