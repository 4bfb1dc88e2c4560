"""One instance whose heavy location runs on Kubernetes: dagster-k8s itself, beside our launcher.

A cluster is out of reach here, so its API server is doubled; what is sent to it is dagster-k8s's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
JOBS = "/apis/batch/v1/namespaces/heavy/jobs"


class Cluster(ThreadingHTTPServer):
    """An API server that keeps jobs and says that they are at work."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []


class Answer(BaseHTTPRequestHandler):
    server: Cluster

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != JOBS:
            self._say(404, {"kind": "Status", "code": 404})
            return
        self.server.jobs[job["metadata"]["name"]] = job
        self._say(201, job)

    def do_GET(self) -> None:
        if self.path.startswith("/api/v1/namespaces/heavy/pods"):
            self._say(200, {"kind": "PodList", "items": []})
            return
        job = self.server.jobs.get(self._job())
        if job is None:
            self._say(404, {"kind": "Status", "code": 404})
            return
        self._say(200, {**job, "status": {"active": 1}})

    def do_DELETE(self) -> None:
        self.server.deleted.append(self._job())
        self._say(200, {"kind": "Status", "status": "Success"})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _job(self) -> str:
        return self.path.removeprefix(f"{JOBS}/").partition("?")[0].removesuffix("/status")

    def _say(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path) -> Path:
    server = {"server": f"http://127.0.0.1:{cluster.server_port}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": server}],
        "users": [{"name": "us", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "us"}}],
        "current-context": "here",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def python_with_dagster_k8s() -> Path:
    subprocess.run([ROOT / "scripts" / "environment.sh", "kubernetes", "launcher"], check=True)
    return ROOT / ".build" / "environments" / "kubernetes" / "bin" / "python"


def test_a_location_that_names_dagster_k8s_runs_as_a_job_of_the_cluster(
    python_with_dagster_k8s: Path, cluster: Cluster, kubeconfig: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            python_with_dagster_k8s,
            "-m",
            "tests.component.launcher.on_kubernetes",
            tmp_path / "home",
            kubeconfig,
        ],
        cwd=ROOT,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    name = f"dagster-run-{found['run_id']}"
    assert list(cluster.jobs) == [name]
    job = cluster.jobs[name]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/ml:3"
    assert container["args"][:3] == ["dagster", "api", "execute_run"]
    assert container["resources"]["limits"]["memory"] == "64Gi"
    assert job["spec"]["template"]["metadata"]["labels"]["dagster/code-location"] == "ml"
    assert found["tags"]["multihost_docker/launcher_type"] == "dagster_k8s.K8sRunLauncher"
    assert "Kubernetes run worker job created" in found["messages"]
    assert (found["health"], found["terminated"], found["status"]) == (
        "RUNNING",
        True,
        "CANCELING",
    )  # the worker says CANCELED
    assert cluster.deleted == [name]
