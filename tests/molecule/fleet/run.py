"""Run a job as somebody in the web UI does, on each host of a location; print hosts and how the runs ended.

usage: run.py DIRECTORY
"""

import sys
from pathlib import Path

from dagfleet.control.connect import plane
from dagfleet.control.plane import JobSelector
from dagfleet.fleet import load_fleet
from dagfleet.secrets import Secrets

if __name__ == "__main__":
    fleet_file = load_fleet(Path(sys.argv[1]) / "fleet" / "fleet.yml")
    job = JobSelector(location="measuring", job="check_environment", repository="__repository__")
    with plane(fleet_file, Secrets(fleet_file).resolve("users")) as control:
        for host in fleet_file.fleet.locations["measuring"].hosts:
            run_id = control.launch(job, tags={"multihost/host": host})
            state = control.finished(run_id, timeout=180)
            print(host, state.status)
