"""Measure Dagster's queue daemon and ours in turn, print tables and one line of JSON."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.queue import fill, scenarios
from tests.bench.queue.measure import (
    OURS,
    ROOT,
    STOCK,
    Drain,
    Worker,
    drain,
    passes,
    reactions,
    submits,
)
from tests.bench.queue.server import Server, wait_for
from tests.bench.report import percentile, spread, table

REFERENCE = ROOT / ".build/environments/reference-coordinator/bin/python"
BIG, MIDDLE, SMALL = 10_000, 1_000, 100


@dataclass(frozen=True)
class Effort:
    """How much is measured: repetitions, seconds for the slow daemon's drains, samples of each kind."""

    repetitions: int
    window: float
    scenarios: tuple[scenarios.Scenario, ...]
    sizes: tuple[int, ...]
    bounced: tuple[int, ...]
    stock_passes: int
    stock_wakes: int
    our_wakes: int
    our_passes: int
    submits: int


QUICK = Effort(
    repetitions=1, window=0.6, scenarios=(scenarios.EACH,), sizes=(SMALL, BIG), bounced=(),
    stock_passes=1, stock_wakes=1, our_wakes=30, our_passes=10, submits=4,
)  # fmt: skip
FULL = Effort(
    repetitions=3, window=8, scenarios=scenarios.ALL, sizes=(SMALL, MIDDLE, BIG), bounced=(MIDDLE, BIG),
    stock_passes=2, stock_wakes=5, our_wakes=200, our_passes=15, submits=60,
)  # fmt: skip


class Bench:
    """Holds the server, the workers and what they were seen to do."""

    def __init__(self, effort: Effort, stack: ExitStack) -> None:
        self.effort = effort
        self._folder = Path(tempfile.mkdtemp(prefix="dagfleet-bench-homes-"))
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self.server = Server()
        stack.callback(self.server.close)
        wait_for(self.server.bouncer_port)
        self.workers = {
            "stock": Worker(sys.executable, STOCK, self._folder / "stock"),
            "ours": Worker(sys.executable, OURS, self._folder / "ours"),
            "reference": Worker(REFERENCE, OURS, self._folder / "reference"),
        }
        for worker in self.workers.values():
            stack.callback(worker.close)
        bare = fill.empty(self.server, self._folder / "bare")
        self._filled = {
            size: fill.queue(
                self.server, self._folder / str(size), bare, queued=size, created=3 * (effort.submits + 5)
            )
            for size in (SMALL, MIDDLE, BIG)
        }
        self.drains: dict[tuple[str, int], list[Drain]] = defaultdict(list)
        self.passes: dict[tuple[str, str, int], list[float]] = defaultdict(list)
        self.wakes: dict[str, list[float]] = defaultdict(list)
        self.submits: dict[str, list[float]] = defaultdict(list)
        self.connections: list[int] = []

    def copy(self, size: int) -> str:
        """Return a fresh database with this many queued runs."""
        name = self.server.create(self._filled[size])
        # Or it happens while a daemon is measured.
        self.server.ask("postgres", "checkpoint")
        return name

    def drain(self) -> None:
        """Launch everything, limits on."""
        keys = scenarios.EACH.draining()
        for size in (MIDDLE, BIG):
            for who, bounced in (("stock", False), ("bounced", True), ("ours", False)):
                if bounced and size not in self.effort.bounced:
                    continue
                worker = self.workers["ours" if who == "ours" else "stock"]
                # Dagster's daemon is given a window, ours the whole queue.
                seen = drain(
                    self.server, worker, self.copy(size), keys, queued=size, bounced=bounced,
                    window=60 if who == "ours" else self.effort.window,
                )  # fmt: skip
                self.drains[who, size].append(seen)

    def react(self) -> None:
        """Launch one run out of many: Dagster's single pass, and ours from the freed slot to the launch."""
        for scenario in self.effort.scenarios:
            for size in self.effort.sizes:
                self.passes["stock", scenario.name, size] += passes(
                    self.server, self.workers["stock"], self.copy(size), scenario.one_free(),
                    times=self.effort.stock_passes,
                )  # fmt: skip
                if (scenario, size) == (scenarios.EACH, BIG):
                    continue  # which is what `wake` does
                seconds, _ = reactions(
                    self.server, self.workers["ours"], self.copy(size), scenario.full(),
                    times=self.effort.our_passes, apart=0.1,
                )  # fmt: skip
                self.passes["ours", scenario.name, size] += seconds

    def wake(self) -> None:
        """Free a slot of a queue of 10 000 while the daemon's loop runs."""
        keys = scenarios.EACH.full()
        seconds, _ = reactions(
            self.server,
            self.workers["stock"],
            self.copy(BIG),
            keys,
            times=self.effort.stock_wakes,
            apart=0.5,
            warm=False,
        )
        self.wakes["stock"] += seconds
        seconds, connections = reactions(
            self.server, self.workers["ours"], self.copy(BIG), keys, times=self.effort.our_wakes, apart=0.1
        )
        self.wakes["ours"] += seconds
        self.passes["ours", scenarios.EACH.name, BIG] += seconds
        self.connections.append(connections)

    def submit(self) -> None:
        """Submit runs one after the other: with Dagster's coordinator, the reference and ours."""
        database = self.copy(MIDDLE)
        rows = self.server.ask(database, "select run_id from runs where status = 'NOT_STARTED' order by id")
        each = self.effort.submits + 5
        for at, who in enumerate(("stock", "reference", "ours")):
            run_ids = [run_id for (run_id,) in rows[at * each : (at + 1) * each]]
            self.submits[who] += submits(self.server, self.workers[who], database, run_ids)

    def tables(self) -> str:
        """Return what was seen, for people."""
        return "\n".join([self._drains(), self._passes(), self._others()])

    def figures(self) -> dict[str, float]:
        """Return the ratios, theirs divided by ours."""

        def drained(size: int, attribute: str, who: str) -> float:
            return median(getattr(seen, attribute) for seen in self.drains[who, size])

        def passed(who: str, size: int) -> float:
            return median(self.passes[who, scenarios.EACH.name, size])

        ours = self.wakes["ours"]
        submitted = {who: median(seconds) for who, seconds in self.submits.items()}
        return {
            "drain_ratio_1k": drained(MIDDLE, "rate", "ours") / drained(MIDDLE, "rate", "stock"),
            "drain_ratio_10k": drained(BIG, "rate", "ours") / drained(BIG, "rate", "stock"),
            "pass_ratio_10k": passed("stock", BIG) / passed("ours", BIG),
            "pass_growth_100_to_10k": passed("ours", BIG) / passed("ours", SMALL),
            "wake_p50_ms": 1000 * percentile(ours, 0.5),
            "wake_p99_ms": 1000 * percentile(ours, 0.99),
            "wake_p50_ratio": percentile(self.wakes["stock"], 0.5) / percentile(ours, 0.5),
            "submit_ratio_stock": submitted["stock"] / submitted["ours"],
            "submit_ratio_reference": submitted["reference"] / submitted["ours"],
            "pg_cpu_ratio": drained(BIG, "cpu", "stock") / drained(BIG, "cpu", "ours"),
            "statements_per_launch": drained(BIG, "statements", "ours"),
        }

    def _drains(self) -> str:
        rows = []
        for size in (MIDDLE, BIG):
            ours = median(seen.rate for seen in self.drains["ours", size])
            for who, name in (("stock", "Dagster"), ("bounced", "Dagster, PgBouncer"), ("ours", "ours")):
                seen = self.drains[who, size]
                if not seen:
                    continue
                rows.append((
                    f"{size}", name, spread([each.rate for each in seen]),
                    f"{ours / median(each.rate for each in seen):.1f}",
                    spread([each.cpu for each in seen], 1000, 2),
                    spread([each.statements for each in seen]),
                ))  # fmt: skip
        headings = (
            "queued",
            "daemon",
            "launches/s",
            "ours is faster",
            "PG CPU ms/launch",
            "statements/launch",
        )
        return table("drain, limits on 50 locations (from the first launch on)", headings, rows)

    def _passes(self) -> str:
        rows = []
        for scenario in self.effort.scenarios:
            for size in self.effort.sizes:
                theirs = self.passes["stock", scenario.name, size]
                ours = self.passes["ours", scenario.name, size]
                rows.append((
                    scenario.name, f"{size}", spread(theirs, 1000), spread(ours, 1000),
                    f"{median(theirs) / median(ours):.1f}",
                ))  # fmt: skip
        headings = ("limits", "queued", "Dagster, one pass, ms", "ours, slot to launch, ms", "ratio")
        return table("one launch out of many", headings, rows)

    def _others(self) -> str:
        rows = [
            ("freed slot to launch, 10000 queued", who, spread(self.wakes[who], 1000),
             f"p99 {1000 * percentile(self.wakes[who], 0.99):.1f} ms of {len(self.wakes[who])}")
            for who in ("stock", "ours")
        ] + [
            ("submit", who, spread(self.submits[who], 1000),
             f"{1 / median(self.submits[who]):.0f}/s")
            for who in ("stock", "reference", "ours")
        ]  # fmt: skip
        title = f"reactions and submits, ms (new connections during ours: {sum(self.connections)})"
        return table(title, ("what", "who", "median (from-to)", ""), rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition of the most telling parts")
    effort = QUICK if parser.parse_args().quick else FULL
    began = time.monotonic()
    with ExitStack() as stack:
        bench = Bench(effort, stack)
        print(f"databases of 100, 1000 and 10000 queued runs: {time.monotonic() - began:.0f} s", flush=True)
        for repetition in range(1, effort.repetitions + 1):
            for part in (bench.submit, bench.drain, bench.react, bench.wake):
                part_began = time.monotonic()
                part()
                seconds = time.monotonic() - part_began
                print(f"{repetition}/{effort.repetitions} {part.__name__}: {seconds:.0f} s", flush=True)
        print(bench.tables())
        print(f"\n{time.monotonic() - began:.0f} s in all; ratios are Dagster's divided by ours")
        print(json.dumps({name: round(value, 3) for name, value in bench.figures().items()}))


if __name__ == "__main__":
    main()
