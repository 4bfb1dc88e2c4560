"""Somebody at work with `dagfleet`, and the fleet that came of it."""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import docker
from dagfleet.control.login import Login
from dagfleet.control.plane import Plane
from dagfleet.control.session import Endpoint, Session
from docker.models.containers import Container

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / ".build" / "e2e"
# E2E_PATIENCE=2 waits twice as long, on a machine that others work on, too.
APPLY_SECONDS = 900 * float(os.environ.get("E2E_PATIENCE", "1"))
# What an operator has anyway, and what says where and how packages are fetched here.
KEPT = re.compile(r"PATH|HOME|LANG|(PIP|UV|SSL_CERT)_\w+|\w+_proxy", re.IGNORECASE)
# E2E_FLEET=demo tries the fleet that `make demo` left, instead of setting one up.
ON_DEMO = os.environ.get("E2E_FLEET") == "demo"
# E2E_DOCKER_ACCESS=tls sets up a fleet with docker.access tls, for test_deployment.py; others try the mesh.
ACCESS = os.environ.get("E2E_DOCKER_ACCESS", "mesh")
NAME, NETWORK = (
    ("lab", 7) if ON_DEMO else {"mesh": ("e2e", 8), "tls": ("e2e-tls", 18), "ssh": ("e2e-ssh", 19)}[ACCESS]
)
# E2E_NETWORK=28 sets the fleet up beside another one, as e2e-28 on 10.89.28.x.
if beside := os.environ.get("E2E_NETWORK"):
    NAME, NETWORK = f"e2e-{beside}", int(beside)
LAB_IMAGE = "dagfleet-lab/etl:1"


def own_image(fleet: str) -> str:
    """Return the name of a fleet's image: a tag that all fleets here share would move under some of them."""
    return f"dagfleet-lab/etl:{fleet}"


IMAGE = LAB_IMAGE if ON_DEMO else own_image(NAME)


@dataclass(frozen=True, kw_only=True)
class Result:
    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.output)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Somebody with `dagfleet` installed from its wheel, in a folder with nothing but a fleet.yml."""

    command: Path
    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / ".dagfleet"

    @property
    def fleet_name(self) -> str:
        return re.findall(r"(?m)^name: (\S+)", (self.folder / "fleet.yml").read_text())[0]

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
        # The bundle variables that break many TLS clients are set on purpose (docker-py#2433).
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        cache = str(REPOSITORY / ".build")
        return {
            **kept,
            "REQUESTS_CA_BUNDLE": bundle,
            "CURL_CA_BUNDLE": bundle,
            "DAGFLEET_CACHE": cache,
            **extra,
        }

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.command), *arguments], cwd=self.folder, env=self.environment(**extra), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str, timeout: float = APPLY_SECONDS, **extra: str) -> Result:
        process = self.start(*arguments, **extra)
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Result(code=process.returncode, output=output, errors=errors)


@dataclass(frozen=True, kw_only=True)
class DeployedFleet:
    operator: Operator
    engine: docker.DockerClient
    fresh: dict[str, frozenset[str]] = field(default_factory=dict)
    """What each machine had before Dagfleet came."""

    NAME: ClassVar = NAME
    ADDRESSES: ClassVar = {
        host: f"10.89.{NETWORK}.{last}"
        for last, host in enumerate(("alpha", "beta", "gamma", "delta"), start=11)
    }

    @property
    def network(self) -> str:
        """The Docker network that the practice machines are on."""
        return f"dagfleet-{self.NAME}"

    def machine(self, host: str) -> Container:
        """The practice machine itself."""
        return self.engine.containers.get(f"dagfleet-{self.NAME}-{host}")

    def sh(self, host: str, script: str) -> str:
        """Run a script as root on a practice machine, by the side door that a real host does not have."""
        code, output = self.machine(host).exec_run(["sh", "-c", script])
        assert code == 0, f"{host}: {script}: {output.decode()}"
        return str(output.decode())

    def containers(self, host: str, *labels: str) -> list[dict[str, Any]]:
        """Everything that this host's own dockerd knows of the containers with these labels."""
        filters = " ".join(f"--filter label={label}" for label in labels)
        found = self.sh(host, f"docker ps -aq {filters} | xargs -r docker inspect")
        return list(json.loads(found or "[]"))

    def password(self) -> tuple[str, str]:
        user, _, password = (self.operator.state / "secrets" / "web_users").read_text().strip().partition(":")
        return user, password

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """The web UI, logged in, by its address and the fleet's own authority."""
        endpoint = Endpoint(
            address=self.ADDRESSES["alpha"],
            port=443,
            hostname="dagster.lab.test",
            authority=self.operator.state / "pki" / "mesh" / "ca.crt",
        )
        opened = Session(endpoint, Login(*self.password()))
        try:
            yield opened
        finally:
            opened.close()

    @contextlib.contextmanager
    def plane(self) -> Iterator[Plane]:
        with self.session() as opened:
            yield Plane(opened)


def machine_state(fleet: DeployedFleet, host: str) -> frozenset[str]:
    """Everything on a machine that somebody could call theirs, a line each."""
    script = Path(__file__).with_name("machine_state.sh").read_text()
    return frozenset(fleet.sh(host, f"{script}\ntrue").splitlines())
