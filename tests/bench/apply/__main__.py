"""`make bench-apply`: check, plan and apply of fleets at rest, and a host more. The last line is JSON.

Practice fleets of 3 and 8 hosts, beside plain ansible-playbook with the same roles and SSH itself, in turns.
The hosts share one machine's cores, so trust the ratios: on machines of their own they all work at once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from tests.bench.apply.fleets import Fleet
from tests.bench.report import spread, table

SIZES = (3, 8)
Seconds = dict[str, list[float]]


def main() -> None:
    """Measure, print a table, end with a line of JSON."""
    parser = argparse.ArgumentParser(prog="make bench-apply", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="Fleets to measure, in hosts.")
    options = parser.parse_args()
    repetitions, sizes = options.repetitions, sorted(options.sizes)
    began = time.monotonic()
    seconds = {size: _measured(size, repetitions) for size in sizes}
    small, large = seconds[sizes[0]], seconds[sizes[-1]]
    rows = [
        (
            what,
            *(spread(seconds[size][what]) for size in sizes),
            f"{median(large[what]) / median(small[what]):.2f}",
        )
        for what in small
    ]
    headings = ("seconds", *(f"{size} hosts" for size in sizes), "growth")
    print(table(f"medians of {repetitions} (the first apply and the host more: once)", headings, rows))
    linear = sizes[-1] / sizes[0]
    print(
        f"\n{time.monotonic() - began:.0f} s in all; growth in proportion to the hosts would be {linear:.2f}"
    )
    print(json.dumps({name: round(value, 3) for name, value in _figures(seconds).items()}))


def _measured(size: int, repetitions: int) -> Seconds:
    seconds: Seconds = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="dagfleet-bench-apply-") as folder:
        fleet = Fleet(Path(folder) / "fleet", size)
        with fleet.machines():
            fleet.resize(size - 1)
            seconds["first apply, a host less"].append(fleet.dagfleet("apply", "-y"))
            fleet.resize(size)
            seconds["apply of the host more"].append(fleet.dagfleet("apply", "-y"))
            # What a new host makes others take up, such as its address.
            fleet.dagfleet("apply", "-y")
            print(f"{size} hosts are at rest", flush=True)
            for repetition in range(repetitions):
                seconds["SSH, nothing done"].append(fleet.floor())
                seconds["check"].append(fleet.dagfleet("check"))
                seconds["plan, no change"].append(fleet.dagfleet("plan"))
                seconds["apply, no change"].append(fleet.dagfleet("apply", "-y"))
                seconds["apply --full, no change"].append(fleet.dagfleet("apply", "-y", "--full"))
                seconds["ansible-playbook, no change"].append(fleet.plain_ansible())
                print(f"{size} hosts: {repetition + 1}/{repetitions}", flush=True)
    return seconds


def _figures(seconds: dict[int, Seconds]) -> dict[str, float]:
    def of(size: int, what: str) -> float:
        return median(seconds[size][what])

    largest = max(seconds)
    return {
        **{f"check_s_{size}": of(size, "check") for size in seconds},
        "noop_apply_vs_plain_ansible": of(largest, "ansible-playbook, no change")
        / of(largest, "apply, no change"),
        **{f"noop_s_{size}": of(size, "apply, no change") for size in seconds},
        "add_host_s": of(largest, "apply of the host more"),
        f"floor_s_{largest}": of(largest, "SSH, nothing done"),
    }


if __name__ == "__main__":
    main()
