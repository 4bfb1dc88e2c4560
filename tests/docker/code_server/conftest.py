"""A host that serves one location: the role's script, a real dockerd, an HAProxy in front of both slots."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from dagfleet.fleet import load_fleet
from dagfleet.image import build_control_plane, lab_base
from dagfleet.paths import bundle
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = ROOT / "roles/code_server/files/lib"
REPOSITORY = f"dagfleet-test-code-server-{os.getpid()}"
LOCATION = f"test{os.getpid()}"
GOOD = {"first": "", "second": ""}
BAD = {
    "broken": "import a_module_that_nobody_installed\n",
    "hanging": "import time; time.sleep(600)\n",
}
DEFINITIONS = (ROOT / "tests/component/mesh/definitions.py").read_text()
# There is no systemd here: what it would do beside the script is done within it; or later, so not at all.
RETIRER = """#!/bin/sh
[ -z "$LINGER" ] || exit 0
while [ "${1#--}" != "$1" ]; do shift; done
exec "$@"
"""
# Ends whoever calls it (the script), before or after it has done the n-th of some command.
KILLER = """#!/bin/sh
if [ "$1" = "$KILL_AT" ]; then
    [ "$KILL_WHEN" = before ] || {docker} "$@" >/dev/null 2>&1
    kill -9 $PPID
    exit 137
fi
exec {docker} "$@"
"""


@pytest.fixture(scope="session")
def images() -> Iterator[dict[str, str]]:
    """Images of one location: two that serve, and some that never will."""
    with closing(docker.from_env(timeout=600)) as engine:
        lab_base.ensure(engine)
        base = build_control_plane(load_fleet(bundle() / "inventory/lab/fleet.yml").fleet, engine)
        names = {}
        for name, first in {**GOOD, **BAD}.items():
            names[name] = f"{REPOSITORY}:{name}"
            _build(names[name], base, f"# {name}\n{first}{DEFINITIONS}")
        yield names
        for name in names.values():
            with suppress(docker.errors.ImageNotFound):
                engine.images.remove(name, force=True)


def _build(name: str, base: str, definitions: str) -> None:
    lines = "\\n".join(definitions.replace('"', '\\"').splitlines())
    dockerfile = f'FROM {base}\nRUN mkdir -p /location && printf "{lines}\\n" >/location/definitions.py\n'
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", name, "-"],
        input=dockerfile, text=True, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


@dataclass
class Calls:
    """Who answered each call, and what calls without an answer said."""

    answers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Host:
    """The files of a host under a folder, and its ports."""

    root: Path
    port: int
    front: int

    @property
    def library(self) -> Path:
        """Where the script is, as on a host."""
        return self.root / "usr/local/lib/dagfleet"

    def want(self, image: str, **changes: Any) -> None:
        """Write what the role writes."""
        specification = {
            "arguments": ["-f", "/location/definitions.py", "--location-name", LOCATION],
            "drain_seconds": 30,
            "environment": {"PLAIN": "plain $text"},
            "extra_hosts": {"db.mesh": "127.0.0.1"},
            "image": image,
            "keep": 5,
            "keep_days": 30,
            "launcher": "",
            "linger_seconds": 600,
            "network": "bridge",
            "port": self.port,
            "pull": False,
            "start_seconds": 60,
            **changes,
        }
        file = self.root / f"etc/dagfleet/code-servers/{LOCATION}.json"
        file.write_text(json.dumps(specification))

    @property
    def wanted(self) -> dict[str, Any]:
        """What is to be served."""
        found: dict[str, Any] = json.loads(
            (self.root / f"etc/dagfleet/code-servers/{LOCATION}.json").read_text()
        )
        return found

    def script(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `code-server`; what it calls as docker may end it."""
        return subprocess.run(
            ["/usr/bin/python3", str(self.library / "code-server"), *arguments],
            env=os.environ | {
                "CODE_SERVER_ROOT": str(self.root),
                "CODE_SERVER_ADMIN_SOCKET": str(self.root / "haproxy.sock"),
                "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            } | environment,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def converge(self, **environment: str) -> dict[str, list[str]]:
        """Serve what is wanted and return what was exchanged."""
        done = self.script("converge", LOCATION, **environment)
        assert done.returncode == 0, done.stderr
        found: dict[str, list[str]] = json.loads(done.stdout)
        return found

    def slots(self) -> str:
        """Return the map."""
        return (self.root / "etc/dagfleet/slots.map").read_text()

    def containers(self) -> dict[str, str]:
        """The location's containers with their images."""
        listed = subprocess.run(
            ["docker", "ps", "--all", "--filter", f"label=dagfleet.location={LOCATION}",
             "--format", "{{.Names}} {{.Image}}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return dict(line.split() for line in listed.stdout.splitlines())

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Leave no room where the script keeps its files; what is written there meanwhile is gone then."""
        files = self.root / "etc/dagfleet"
        full = self.root / "full"
        shutil.copytree(files, full)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "full", str(files)], check=True)
        try:
            shutil.copytree(full, files, dirs_exist_ok=True)
            with suppress(OSError), (files / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(b"x" * 4096)
            yield
        finally:
            subprocess.run(["umount", str(files)], check=True)

    def serves(self, image: str) -> bool:
        """Tell whether one container is left, of this image."""
        return self.containers() == {f"dagfleet-location-{LOCATION}": image}

    @contextmanager
    def constant_calls(self) -> Iterator[Calls]:
        """Call through HAProxy all the time."""
        calls, stop = Calls(), threading.Event()
        client = DagsterGrpcClient(host="127.0.0.1", port=self.front)

        def call() -> None:
            while not stop.is_set():
                try:
                    calls.answers.append(client.get_server_id(timeout=10))
                except DagsterUserCodeUnreachableError as error:
                    calls.errors.append(str(error))
                time.sleep(0.02)

        thread = threading.Thread(target=call)
        thread.start()
        try:
            yield calls
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path, *_ports())
    for folder in ("etc/dagfleet/code-servers", f"etc/dagfleet/locations/{LOCATION}", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(LIBRARY, host.library, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / f"etc/dagfleet/locations/{LOCATION}/environment").write_text("SECRET='of the location'\n")
    (tmp_path / "etc/dagfleet/slots.map").touch()
    killer = tmp_path / "bin/docker"
    killer.write_text(KILLER.format(docker=shutil.which("docker")))
    killer.chmod(0o755)
    retirer = tmp_path / "bin/systemd-run"
    retirer.write_text(RETIRER)
    retirer.chmod(0o755)
    haproxy = _haproxy(host)
    try:
        yield host
    finally:
        for name in host.containers():
            subprocess.run(["docker", "rm", "--force", name], check=False, stdout=subprocess.DEVNULL)
        haproxy.kill()
        haproxy.wait()


def _haproxy(host: Host) -> subprocess.Popen[bytes]:
    """Role mesh's backend, without TLS in front of it."""
    slots = host.root / "etc/dagfleet/slots.map"
    configuration = host.root / "haproxy.cfg"
    configuration.write_text(f"""
global
    stats socket {host.root}/haproxy.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend front
    bind 127.0.0.1:{host.front}
    default_backend location
backend location
    retries 1
    use-server green if {{ str({LOCATION}),map({slots},blue) -m str green }}
    use-server blue unless {{ str({LOCATION}),map({slots},blue) -m str green }}
    server blue 127.0.0.1:{host.port}
    server green 127.0.0.1:{host.port + 1}
""")
    process = subprocess.Popen(["haproxy", "-db", "-f", str(configuration)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (host.root / "haproxy.sock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def _ports() -> tuple[int, int]:
    """Return the first of two free ports beside each other, and another one."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            third.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port, third.getsockname()[1]
