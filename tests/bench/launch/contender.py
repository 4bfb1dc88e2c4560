"""One launcher, in a process and an environment of its own: does as each line of its input says.

usage: python -m tests.bench.launch.contender KIND SETTINGS.json (KIND: raw, docker, reference, ours)
Orders: {"do": "launch", "location": L} {"do": "health", "times": N} {"do": "forget"}
        {"do": "beside", "location": L, "dark": L2, "times": N}
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import requests
from dagster import DagsterInstance, DagsterRun
from dagster._core.launcher.base import WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from docker import APIClient
from docker.tls import TLSConfig

from tests.unit.launcher.runs import create_run, instance_from, launching, reloaded

PREFIX = "dagfleet-bench-launch"
_DARK_BEGINS = 0.05  # seconds that a launch on the dark host is ahead of the one that is measured


class Calls:
    """Counts the HTTP requests of whatever uses the Docker SDK in this process."""

    def __init__(self) -> None:
        self.count = 0
        send = requests.Session.send

        def counted(session: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> Any:
            self.count += 1
            return send(session, request, **kwargs)

        requests.Session.send = counted  # type: ignore[method-assign]


class Raw:
    """Create and start by the Docker API, with nothing of Dagster around it."""

    def __init__(self, instance: DagsterInstance, settings: Mapping[str, Any]) -> None:
        folder = settings["certificates"]
        tls = TLSConfig(
            client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=True
        )
        self._api = APIClient(f"tcp://127.0.0.1:{settings['ports'][0]}", version="1.41", tls=tls)
        self._api.trust_env = False
        self._instance, self._image = instance, settings["image"]

    def launch_run(self, context: Any) -> None:
        """Do what every launcher has to do."""
        run = context.dagster_run
        command = ExecuteRunArgs(
            job_origin=run.job_code_origin, run_id=run.run_id, instance_ref=self._instance.get_ref()
        ).get_command_args()
        container = self._api.create_container(
            self._image,
            command=command,
            name=f"{PREFIX}-{uuid.uuid4().hex}",
            environment={"DAGSTER_RUN_ID": run.run_id},
            labels={f"{PREFIX}/managed": "true"},
            host_config=self._api.create_host_config(network_mode="host"),
        )
        self._api.start(container["Id"])


class Contender:
    """A loaded instance, the launcher under test and what is measured of it."""

    def __init__(self, kind: str, instance: DagsterInstance, settings: Mapping[str, Any]) -> None:
        self._instance = instance
        self._image = settings["image"]
        self._launcher: Any = Raw(instance, settings) if kind == "raw" else instance.run_launcher
        self._calls = Calls()
        self._launched: list[DagsterRun] = []

    def launch(self, location: str) -> dict[str, Any]:
        """Launch one run; return seconds, Docker calls and the error, if any."""
        run = create_run(self._instance, location=location, image=self._image)
        before, began = self._calls.count, time.perf_counter()
        try:
            self._launcher.launch_run(launching(run))
        except Exception as error:
            return {"seconds": time.perf_counter() - began, "error": type(error).__name__}
        seconds = time.perf_counter() - began
        self._launched.append(run)
        return {"seconds": seconds, "calls": self._calls.count - before}

    def forget(self) -> dict[str, Any]:
        """Let the launched runs be finished: their containers are about to be removed."""
        for run in self._launched:
            self._instance.report_run_canceled(run)
        self._launched.clear()
        return {}

    def health(self, times: int) -> dict[str, Any]:
        """Check the health of `times` launched runs, in a row; return seconds."""
        runs = [reloaded(self._instance, run) for run in self._launched]
        began = time.perf_counter()
        for number in range(times):
            result = self._launcher.check_run_worker_health(runs[number % len(runs)])
            assert result.status == WorkerStatus.RUNNING
        return {"seconds": time.perf_counter() - began}

    def beside(self, location: str, dark: str, times: int) -> dict[str, Any]:
        """Launch on a healthy host while another thread launches on the dark one; return the median."""
        seconds = []
        for _ in range(times):
            other = threading.Thread(target=self.launch, args=(dark,), daemon=True)
            other.start()
            time.sleep(_DARK_BEGINS)
            seconds.append(self.launch(location)["seconds"])
        return {"seconds": median(seconds)}


def configuration(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return dagster.yaml's run_launcher for a contender."""
    if kind == "raw":
        return {}
    if kind == "docker":
        config = {"network": "host", "container_kwargs": {"labels": {f"{PREFIX}/managed": "true"}}}
        return {"run_launcher": {"module": "dagster_docker", "class": "DockerRunLauncher", "config": config}}
    folder = settings["certificates"]
    tls = {
        "ca_cert": f"{folder}/ca.pem",
        "client_cert": f"{folder}/cert.pem",
        "client_key": f"{folder}/key.pem",
    }
    hosts = [
        {
            "host_name": f"host{number}",
            "docker_url": f"tcp://127.0.0.1:{port}",
            "tls": tls,
            "location_names": [f"location{number}"],
            "network": "host",
        }
        for number, port in enumerate(settings["all_ports"])
    ]
    config = {"docker_hosts": hosts, "container_label_prefix": PREFIX}
    if kind == "ours":
        config["retry_after_seconds"] = 1
    launcher = {"module": "dagster_multihost_launcher", "class": "MultiHostDockerRunLauncher"}
    return {"run_launcher": {**launcher, "config": config}}


@contextmanager
def contender(kind: str, settings: Mapping[str, Any]) -> Iterator[Contender]:
    """Load the instance."""
    with instance_from(Path(settings["home"]), configuration(kind, settings)) as instance:
        yield Contender(kind, instance, settings)


def main(kind: str, settings_file: str) -> None:
    """Do as told, and answer each order with a line of JSON."""
    with contender(kind, json.loads(Path(settings_file).read_text())) as it:
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            print(json.dumps(getattr(it, order.pop("do"))(**order)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
