"""`make chaos`: break a practice fleet while runs flow, and account for every run. The last line is JSON.

QUICK=1 tries six faults; else all of them, then some at random with a printed seed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.bench.report import table
from tests.chaos.accounting import Account, account, usual_seconds
from tests.chaos.evidence import healthy, named, settled
from tests.chaos.faults import ALL, QUICK, Fault
from tests.chaos.traffic import Traffic, flowing
from tests.e2e.deployed import LAB_IMAGE, REPOSITORY, DeployedFleet, Operator, own_image

NETWORK = 49
NAME = "chaos"
RANDOM_FAULTS = 10
# A run's own time-out on the practice fleet, and the time that its host may be away before it is given up.
RUN_SECONDS = 600
HEAL_SECONDS = 300
# A machine that nobody answers for costs doctor each question's time-out.
NAMED_SECONDS = 120


class Fleet(DeployedFleet):
    NAME = NAME
    ADDRESSES = {  # noqa: RUF012
        host: f"10.89.{NETWORK}.{last}"
        for last, host in enumerate(("alpha", "beta", "gamma", "delta"), start=11)
    }


@dataclass(frozen=True)
class Outcome:
    """A fault, what became of the runs, and whether the fleet told and healed."""

    title: str
    account: Account
    refused: int
    named: str
    healed: float | None


def main() -> int:
    """Break things, print the table, end with a line of JSON; the exit code is 1 unless all is well."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, help="runs for each fault")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    runs = arguments.runs or (6 if arguments.quick else 12)
    faults = list(QUICK if arguments.quick else ALL)
    if not arguments.quick:
        faults += random.Random(arguments.seed).choices(ALL, k=RANDOM_FAULTS)  # noqa: S311 -- not a secret
    print(f"seed {arguments.seed} · {len(faults)} faults · {runs} runs each", flush=True)
    with tempfile.TemporaryDirectory(prefix="dagfleet-chaos-") as folder, _fleet(Path(folder)) as fleet:
        usual = _usual(fleet, runs)
        print(f"without a fault a run takes {usual:.0f} s from launch to end", flush=True)
        outcomes = [
            _tried(fleet, fault, f"{number}", runs, usual) for number, fault in enumerate(faults, start=1)
        ]
    _print(outcomes)
    figures = _figures(outcomes)
    print(json.dumps(figures))
    wrong = any(value for name, value in figures.items() if name not in {"faults", "runs"})
    return int(wrong or any(each.named == "no" for each in outcomes))


def _tried(fleet: Fleet, fault: Fault, tag: str, runs: int, usual: float) -> Outcome:
    """Break one thing in the middle of the traffic, wait for the end of all runs, and account for them."""
    word = "healed too soon to ask"
    with flowing(fleet, tag, runs) as traffic:
        _wait_for(traffic, runs // 3)
        fault.inject(fleet)
        try:
            if fault.told:
                word = "yes" if named(fleet, fault.told, seconds=NAMED_SECONDS) else "no"
        finally:
            fault.lift(fleet)
    began = time.monotonic()
    well = healthy(fleet, seconds=HEAL_SECONDS)
    healed = time.monotonic() - began
    found = settled(fleet, tag, traffic.launched, seconds=RUN_SECONDS)
    accounted = account(traffic.launched, found, touched=fault.touched, usual=usual)
    result = Outcome(fault.title, accounted, traffic.refused, word, healed if well else None)
    print(f"  {' · '.join(_row(result))}", flush=True)
    return result


def _wait_for(traffic: Traffic, count: int) -> None:
    """Return once so many runs were taken."""
    deadline = time.monotonic() + RUN_SECONDS
    while len(traffic.launched) < count:
        if time.monotonic() > deadline:
            sys.exit(f"only {len(traffic.launched)} of {count} runs were taken in {RUN_SECONDS} s")
        time.sleep(0.2)


def _usual(fleet: Fleet, runs: int) -> float:
    with flowing(fleet, "none", runs) as traffic:
        pass
    return usual_seconds(settled(fleet, "none", traffic.launched, seconds=RUN_SECONDS).values())


@contextmanager
def _fleet(folder: Path) -> Iterator[Fleet]:
    """Bring up the practice fleet under another name; remove it in the end."""
    inventory = folder / "fleet"
    ignored = shutil.ignore_patterns(".dagfleet", "__pycache__")
    shutil.copytree(REPOSITORY / "inventory/lab", inventory, ignore=ignored)
    text = re.sub(r"(?m)^name: .*", f"name: {NAME}", (inventory / "fleet.yml").read_text())
    text = text.replace("10.89.7.", f"10.89.{NETWORK}.").replace(LAB_IMAGE, own_image(NAME))
    (inventory / "fleet.yml").write_text(text)
    operator = Operator(command=Path(sys.executable).with_name("dagfleet"), folder=inventory)
    engine = docker.from_env(timeout=120)
    engine.api.trust_env = False
    operator.run("lab", "down")
    try:
        for arguments in (["lab", "up"], ["apply", "-y"]):
            done = operator.run(*arguments)
            if done.code:
                sys.exit(f"dagfleet {' '.join(arguments)}:\n{done.output}{done.errors}")
        yield Fleet(operator=operator, engine=engine)
    finally:
        operator.run("lab", "down")
        engine.images.remove(own_image(NAME), force=True)


def _figures(outcomes: list[Outcome]) -> dict[str, int]:
    def total(what: str) -> int:
        return sum(each.account.count(what) for each in outcomes)

    return {
        "faults": len(outcomes),
        "runs": sum(len(each.account.verdicts) for each in outcomes),
        "lost": total("lost"),
        "duplicated": total("duplicated"),
        "stuck": total("stuck"),
        "untouched_delayed": total("delayed"),
        "unhealed": sum(each.healed is None for each in outcomes),
    }


def _row(each: Outcome) -> tuple[str, ...]:
    said = ", ".join(f"{count} {outcome}" for outcome, count in each.account.outcomes().items())
    wrong = ", ".join(
        f"{count} {what}"
        for what in ("lost", "duplicated", "stuck", "delayed")
        if (count := each.account.count(what))
    )
    healed = "no" if each.healed is None else f"{each.healed:.0f} s"
    return each.title, said, wrong or "none", str(each.refused), each.named, healed


def _print(outcomes: list[Outcome]) -> None:
    headings = ("fault", "runs", "wrong", "launches refused", "doctor named it", "well again after")
    print(table("runs by outcome", headings, [_row(each) for each in outcomes]))


if __name__ == "__main__":
    sys.exit(main())
