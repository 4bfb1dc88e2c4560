"""One practice fleet for all end-to-end tests, set up by the wheel, from an empty folder."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.e2e.deployed import (
    ACCESS,
    BUILD,
    LAB_IMAGE,
    NAME,
    NETWORK,
    ON_DEMO,
    REPOSITORY,
    DeployedFleet,
    Operator,
    machine_state,
    own_image,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what restarts a host, whose journal is in memory only, and then what takes the fleet apart."""
    last = ["test_reboot.py", "test_host_life.py"]
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)


@pytest.fixture(scope="session")
def installed() -> Path:
    """`dagfleet` from its wheel in an environment of its own, where this repository is not importable."""
    wheels, environment = BUILD / "wheels", BUILD / "environment"
    shutil.rmtree(BUILD, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    subprocess.run(
        [*uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable,
         "--out-dir", str(wheels), str(REPOSITORY / "provision")],
        check=True,
    )  # fmt: skip
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    subprocess.run(
        [*uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python"),
         "--constraint", str(REPOSITORY / "requirements" / "dev.txt"),
         str(next(wheels.glob("dagfleet-*.whl")))],
        check=True,
    )  # fmt: skip
    # As an operator's pip does, and uv does not.
    subprocess.run([str(REPOSITORY / "scripts/compile.sh"), str(environment)], check=True)
    return environment / "bin" / "dagfleet"


@pytest.fixture(scope="session")
def new_operator(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Operator]:
    """A function that gives an operator a copy of the practice fleet under another name and network."""

    def make(name: str, network: int) -> Operator:
        folder = tmp_path_factory.mktemp(name)
        shutil.copytree(REPOSITORY / "inventory" / "lab", folder, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns(".dagfleet", "__pycache__"))  # fmt: skip
        text = (folder / "fleet.yml").read_text()
        text = re.sub(r"(?m)^name: .*", f"name: {name}", text).replace("10.89.7.", f"10.89.{network}.")
        text = text.replace("docker: {images: push}", f"docker: {{images: push, access: {ACCESS}}}")
        assert LAB_IMAGE in text
        (folder / "fleet.yml").write_text(text.replace(LAB_IMAGE, own_image(name)))
        return Operator(command=installed, folder=folder)

    return make


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """This machine's own engine, on which the practice machines run."""
    client = docker.from_env(timeout=120)
    client.api.trust_env = False
    return client


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest, engine: docker.DockerClient) -> Iterator[DeployedFleet]:
    if ON_DEMO:
        command = Path(sys.executable).with_name("dagfleet")
        operator = Operator(command=command, folder=REPOSITORY / "inventory" / "lab")
        yield DeployedFleet(operator=operator, engine=engine)
        return
    new_operator: Callable[[str, int], Operator] = request.getfixturevalue("new_operator")
    operator = new_operator(NAME, NETWORK)
    operator.run("lab", "down")
    deployed = DeployedFleet(operator=operator, engine=engine)
    try:
        up = operator.run("lab", "up")
        assert up.code == 0, up.output + up.errors
        deployed.fresh.update({host: machine_state(deployed, host) for host in deployed.ADDRESSES})
        # Gamma comes with Docker settings of its owner's, which have to survive.
        deployed.sh(
            "gamma", "mkdir -p /etc/docker && echo '{\"shutdown-timeout\": 7}' >/etc/docker/daemon.json"
        )
        first = operator.run("apply", "-y")
        assert first.code == 0, first.output + first.errors
        yield deployed
    finally:
        if os.environ.get("KEEP_FLEET") != "1":
            operator.run("lab", "down")
