"""Launch a job's run through a code server, as Dagster's default launcher does; print its status in the end.

usage: launch.py DAGSTER_HOME PORT JOB [STATUS]     (with the Python of the code server's environment)

With a STATUS, wait for that instead of the end.
"""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

DAGSTER_YAML = """\
telemetry: {enabled: false}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""


def main(home: str, port: str, job: str, awaited: str = "") -> None:
    """Wait for a minute at most; leave the run's events in DAGSTER_HOME."""
    Path(home).mkdir(exist_ok=True)
    (Path(home) / "dagster.yaml").write_text(DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = home
    import dagster as dg

    run_id = str(uuid.uuid4())
    address = ["--grpc-host", "127.0.0.1", "--grpc-port", port]
    command = [sys.executable, "-m", "dagster", "job", "launch", *address, "-j", job, "--run-id", run_id]
    subprocess.run(command, check=True, stdout=sys.stderr)
    run = None
    with dg.DagsterInstance.get() as instance:
        for _ in range(300):
            run = instance.get_run_by_id(run_id)
            if run and (run.is_finished or run.status.value == awaited):
                break
            time.sleep(0.2)
        print(run.status.value if run else "no run")


if __name__ == "__main__":
    main(*sys.argv[1:])
