"""What a daemon with dagster-k8s does with a run of a location that names it; prints what became of it.

usage: python -m tests.component.launcher.on_kubernetes HOME KUBECONFIG
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.unit.launcher.runs import create_run, instance_from, launcher_config, launching, messages, reloaded


def main(home: str, kubeconfig: str) -> None:
    """Launch, ask for its health, terminate."""
    config = {
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "dagster_home": "/opt/dagster",
        "load_incluster_config": False,
        "kubeconfig_file": kubeconfig,
        "job_namespace": "heavy",
        "run_k8s_config": {"container_config": {"resources": {"limits": {"memory": "64Gi"}}}},
    }
    other = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config}
    beta = {"host_name": "beta", "docker_url": "unix:///nowhere.sock", "location_names": ["etl"]}
    ours = launcher_config(docker_hosts=[beta], locations={"ml": {"launcher": other}}, strict=True)
    with instance_from(Path(home), ours) as instance:
        run = create_run(instance, location="ml", image="registry.example.com/ml:3")
        instance.run_launcher.launch_run(launching(run))
        launched = reloaded(instance, run)
        health = instance.run_launcher.check_run_worker_health(launched)
        terminated = instance.run_launcher.terminate(run.run_id)
        found = {
            "run_id": run.run_id,
            "tags": launched.tags,
            "health": health.status.value,
            "terminated": terminated,
            "status": reloaded(instance, run).status.value,
            "messages": messages(instance, run),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
