"""The Docker Engine of this machine: found, or installed from the distribution and started."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import docker
from docker.errors import DockerException

from dagfleet.errors import DagfleetError
from dagfleet.paths import cache

START_SECONDS = 60
_PID_FILE = Path("/var/run/docker.pid")


def client() -> docker.DockerClient:
    """Return a client of this machine's engine; raise DagfleetError when none answers."""
    try:
        engine = docker.from_env(timeout=600)
        # A proxy or a corporate CA bundle in the environment has no say over a local socket.
        engine.api.trust_env = False
        engine.ping()
    except DockerException as error:
        raise DagfleetError(
            "no Docker Engine answers on this machine",
            fix="start it, or let `dagfleet lab up` install and start one as root",
        ) from error
    return engine


def ensure() -> str:
    """Make this machine's Docker Engine answer and say in a few words what that took."""
    if answers():
        return "found"
    done = []
    if shutil.which("dockerd") is None:
        install_packages("docker.io", "iptables", "iproute2", "ca-certificates")
        done.append("installed")
    if not answers():
        _start()
        done.append("started")
    return ", ".join(done) or "found"


def stop_if_ours() -> bool:
    """End the engine that `ensure` started directly, unless containers run on it; tell whether it ended."""
    record = _record()
    if not record.exists():
        return False
    pid = int(record.read_text())
    if not _is_dockerd(pid):
        record.unlink()
        return False
    if client().containers.list():
        return False
    os.kill(pid, signal.SIGTERM)
    for _ in range(300):
        if not _is_dockerd(pid):
            record.unlink()
            return True
        time.sleep(0.1)
    raise DagfleetError(f"dockerd (pid {pid}) did not end within 30 s", fix=f"look at {_log()}")


def answers() -> bool:
    """Tell whether an engine answers on this machine."""
    try:
        client().close()
    except DagfleetError:
        return False
    return True


def ensure_packages(**programs: str) -> None:
    """Install the distribution package behind each program (program=package) that is not on PATH."""
    missing = [package for program, package in programs.items() if shutil.which(program) is None]
    if missing:
        install_packages(*missing)


def install_packages(*packages: str) -> None:
    """Install distribution packages on this machine; raise DagfleetError with apt's own last words."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise DagfleetError(
            f"this machine lacks {', '.join(packages)}",
            fix="install them, or run this as root on a Debian machine",
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DagfleetError(
                f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}",
                fix="check this machine's package sources, then try again",
            )


def _start() -> None:
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], check=True, capture_output=True)
    else:
        _start_directly()
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            raise DagfleetError(f"dockerd does not answer after {START_SECONDS} s", fix=f"look at {_log()}")
        time.sleep(0.2)


def _start_directly() -> None:
    if os.geteuid() != 0:
        raise DagfleetError("starting a Docker Engine needs root", fix="start Docker, or run this as root")
    # A machine that was switched off leaves a pid file behind, and dockerd refuses to start beside it.
    if _PID_FILE.exists() and not _is_dockerd(int(_PID_FILE.read_text() or 0)):
        _PID_FILE.unlink()
    _record().parent.mkdir(parents=True, exist_ok=True)
    with _log().open("ab") as log:
        # A session of its own: Ctrl-C in the terminal must not end the engine under the fleet.
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    _record().write_text(str(process.pid))


def _record() -> Path:
    return cache() / "lab" / "dockerd.pid"


def _log() -> Path:
    return cache() / "lab" / "dockerd.log"


def _is_dockerd(pid: int) -> bool:
    try:
        return b"dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
