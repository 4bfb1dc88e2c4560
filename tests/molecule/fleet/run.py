"""Run jobs as somebody in the web UI does.

usage: run.py DIRECTORY               a short job on each of the location's hosts; prints how the runs ended
       run.py DIRECTORY start         a long one on the first host; prints its id once it works
       run.py DIRECTORY end RUN_ID    waits for its end; prints how it ended
"""

import sys
import time
from pathlib import Path

from dagfleet.control.connect import plane
from dagfleet.control.plane import JobSelector, Plane
from dagfleet.fleet import load_fleet
from dagfleet.secrets import Secrets

SECONDS = 180


def main(directory: str, action: str = "", run_id: str = "") -> None:
    """Do what is asked, and print the answer."""
    fleet_file = load_fleet(Path(directory) / "fleet" / "fleet.yml")
    hosts = fleet_file.fleet.locations["measuring"].hosts
    with plane(fleet_file, Secrets(fleet_file).resolve("users")) as control:
        match action:
            case "start":
                print(working(control, launched(control, "long_job", hosts[0])))
            case "end":
                print(control.finished(run_id, timeout=SECONDS).status)
            case _:
                for host in hosts:
                    run = launched(control, "check_environment", host)
                    print(host, control.finished(run, timeout=SECONDS).status)


def launched(control: Plane, job: str, host: str) -> str:
    """Launch a job on a host and return the run's id."""
    selector = JobSelector(location="measuring", job=job, repository="__repository__")
    return control.launch(selector, tags={"multihost/host": host})


def working(control: Plane, run_id: str) -> str:
    """Wait until the run works and return its id."""
    deadline = time.monotonic() + SECONDS
    while (status := control.run(run_id).status) != "STARTED":
        if time.monotonic() > deadline:
            sys.exit(f"the run is {status} after {SECONDS} s")
        time.sleep(0.5)
    return run_id


if __name__ == "__main__":
    main(*sys.argv[1:])
