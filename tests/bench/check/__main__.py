"""`make bench-check`: `dagfleet check` of one host and of twenty. The last line is JSON.

Containers with sshd on one machine, in turns beside SSH itself: trust the ratios. What hosts do to answer
shares its cores, where a fleet's have their own; the operator's own CPU time is told apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from tests.bench.apply.fleets import Fleet
from tests.bench.check.hosts import hosts_with_sshd
from tests.bench.report import spread, table

FLOOR, CHECK, OPERATOR = "SSH, nothing done", "check", "check, the operator's CPU"
Seconds = dict[str, dict[int, list[float]]]


def main() -> None:
    """Measure, print a table, end with a line of JSON."""
    parser = argparse.ArgumentParser(prog="make bench-check", description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    hosts: int = options.hosts
    seconds = _measured(hosts, options.repetitions)
    middle = {what: {asked: median(taken[asked]) for asked in taken} for what, taken in seconds.items()}
    growth = {what: of[hosts] / of[1] for what, of in middle.items()}
    rows = [
        (what, spread(taken[1], digits=2), spread(taken[hosts], digits=2), f"{growth[what]:.2f}")
        for what, taken in seconds.items()
    ]
    print(table(f"medians of {options.repetitions}", ("seconds", "1 host", f"{hosts} hosts", "growth"), rows))
    print(f"\ngrowth in proportion to the hosts would be {hosts}")
    figures = {
        "check_s_1": middle[CHECK][1],
        f"check_s_{hosts}": middle[CHECK][hosts],
        "check_growth": growth[CHECK],
        "operator_cpu_growth": growth[OPERATOR],
        "check_vs_ssh": middle[CHECK][hosts] / middle[FLOOR][hosts],
    }
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def _measured(hosts: int, repetitions: int) -> Seconds:
    """Return what each thing took, by how many hosts it was done to."""
    seconds: Seconds = {what: defaultdict(list) for what in (FLOOR, CHECK, OPERATOR)}
    with tempfile.TemporaryDirectory(prefix="dagfleet-bench-check-") as folder:
        fleet = Fleet(Path(folder) / "fleet", hosts)
        with hosts_with_sshd(fleet):
            # That process 1 is not systemd there is to be mended, says check; it is no less work to say so.
            fleet.dagfleet("check", "--accept-new-host-keys", code=1)
            for _ in range(repetitions):
                for asked in (1, hosts):
                    seconds[FLOOR][asked].append(fleet.floor(asked))
                    before = _cpu()
                    seconds[CHECK][asked].append(_check(fleet, asked))
                    seconds[OPERATOR][asked].append(_cpu() - before)
    return seconds


def _check(fleet: Fleet, hosts: int) -> float:
    return fleet.dagfleet("check", "--limit", ",".join([*fleet.hosts][:hosts]), code=1)


def _cpu() -> float:
    """Return the CPU seconds of the processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
