"""A control plane at work: calls as its daemon makes them, all the time, and what became of them."""

import shlex
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from dagfleet.derive.ports import location_ports
from dagfleet.fleet import load_fleet

from tests.e2e.deployed import DeployedFleet

LOAD = Path(__file__).with_name("load.py").read_text()
STOP = "/tmp/traffic-stop"  # noqa: S108 -- in the container


@contextmanager
def under_load(fleet: DeployedFleet) -> Iterator["Future[str]"]:
    """Calls from the control plane's own container, as its daemon makes them; they are counted at the end."""
    port = location_ports(load_fleet(fleet.operator.folder / "fleet.yml").fleet)["etl"]
    urls = [f"tcp://{fleet.ADDRESSES[host]}:2376" for host in ("beta", "gamma")]
    inside = "docker exec dagfleet-daemon"
    fleet.sh("alpha", f"{inside} rm -f {STOP} {STOP}.started")
    with ThreadPoolExecutor(1) as pool:
        arguments = shlex.join(["python", "-c", LOAD, STOP, str(port), *urls])
        calls = pool.submit(fleet.sh, "alpha", f"{inside} {arguments}")
        try:
            while not calls.done() and "y" not in fleet.sh(
                "alpha", f"{inside} sh -c 'test -e {STOP}.started && echo y || true'"
            ):
                time.sleep(0.2)
            yield calls
        finally:
            fleet.sh("alpha", f"{inside} touch {STOP}")
