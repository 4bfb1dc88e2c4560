"""The command `dagster-queue`: look at the queue of the instance in DAGSTER_HOME, and change it."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import wraps
from typing import Any

import click
from dagster import DagsterError, DagsterInstance, QueuedRunCoordinator

from clt_queued_run_coordinator.admission.priority import number_of
from clt_queued_run_coordinator.admission.settings import PRIORITIES
from clt_queued_run_coordinator.operating import changes
from clt_queued_run_coordinator.operating.errors import BadConfigurationError, OperatingError
from clt_queued_run_coordinator.operating.terminal import duration, number, table
from clt_queued_run_coordinator.operating.view import View, Waiting, view

_KINDS = click.Choice(["location", "user", "host"])
_JSON = click.option("as_json", "--json", is_flag=True, help="Print one JSON document for machines.")
_SHORT = 8
_SHOWN = 50


def _answering(command: Callable[..., Any]) -> Callable[..., None]:
    """Give the command the instance; end an error with its sentence and exit code."""

    @wraps(command)
    def answer(**options: Any) -> None:
        try:
            with _instance() as instance:
                command(instance, **options)
        except OperatingError as error:
            click.echo(str(error), err=True)
            sys.exit(error.exit_code)

    return answer


def _instance() -> DagsterInstance:
    try:
        instance = DagsterInstance.get()
    except DagsterError as error:
        raise BadConfigurationError(str(error).strip()) from error
    if not isinstance(instance.run_coordinator, QueuedRunCoordinator):
        name = type(instance.run_coordinator).__name__
        raise BadConfigurationError(
            f"run_coordinator in dagster.yaml is {name}, which has no queue:"
            " configure CLTQueuedRunCoordinator."
        )
    return instance


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Look at the run queue of the instance in DAGSTER_HOME, and change it."""


@main.command("list")
@click.option("--location", help="Only runs of this code location.")
@click.option("--user", help="Only runs of this user.")
@click.option("--all", "everything", is_flag=True, help=f"All of them, not only the first {_SHOWN}.")
@_JSON
@_answering
def list_runs(
    instance: DagsterInstance, location: str | None, user: str | None, everything: bool, as_json: bool
) -> None:
    """List queued runs in the order of launching, each with what it waits for."""
    seen = view(instance)
    line = [
        run
        for run in seen.line()
        if (location is None or run.location == location) and (user is None or run.user == user)
    ]
    shown = line if everything else line[:_SHOWN]
    if as_json:
        runs = [asdict(run) for run in shown]
        paused = [asdict(pause) for pause in seen.snapshot.pauses.values()]
        _print_json({"queued": len(line), "active": seen.snapshot.active, "paused": paused, "runs": runs})
        return
    if shown:
        headings = ("PLACE", "RUN", "LOCATION", "JOB", "USER", "PRIORITY", "WAITING", "WAITS FOR")
        click.echo(table(headings, [_row(run, seen.now) for run in shown]))
    if len(shown) < len(line):
        click.echo(f"... and {number(len(line) - len(shown))} more; see them with --all")
    click.echo(_totals(line, seen))
    for pause in seen.snapshot.pauses.values():
        why = f": {pause.reason}" if pause.reason else ""
        click.echo(
            f"{pause.kind} {pause.name} is paused by {pause.paused_by} since {_clock(pause.since)}{why}"
        )


@main.command()
@click.argument("run_id")
@_JSON
@_answering
def why(instance: DagsterInstance, run_id: str, as_json: bool) -> None:
    """Say which limit a queued run waits for, how full it is, its place in line and since when."""
    seen = view(instance)
    full_id = _queued_id(instance, seen, run_id)
    found = seen.why(full_id)
    if found is None:
        raise OperatingError(f"Run {run_id} left the queue just now: ask again.")
    if as_json:
        _print_json(asdict(found))
        return
    click.echo(
        f"{full_id[:_SHORT]} is queued for {duration(seen.now - found.since)} ({_clock(found.since)})."
    )
    click.echo(found.sentence)
    if found.limit is not None:
        click.echo(f"{found.used} of {found.limit} are in use.")
    if found.cause != "next":
        click.echo(f"It is number {number(found.place)} of {number(found.waiting)} that wait for that.")


# A negative priority is no option.
@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("run_id")
@click.argument("priority")
@_JSON
@_answering
def priority(instance: DagsterInstance, run_id: str, priority: str, as_json: bool) -> None:
    """Change a queued run's priority: an integer, or critical, high, normal, low, background."""
    try:
        wanted = number_of(priority)
    except ValueError:
        raise OperatingError(
            f'"{priority}" is no priority: write an integer or one of {", ".join(PRIORITIES)}.'
        ) from None
    seen = view(instance)
    full_id = _queued_id(instance, seen, run_id)
    before = seen.queued()[full_id].kind.priority
    changes.prioritise(instance, full_id, wanted)
    place = next((run.place for run in view(instance).line() if run.run_id == full_id), None)
    if as_json:
        _print_json({"run_id": full_id, "before": before, "priority": wanted, "place": place})
        return
    line = "it is launched" if place is None else f"place {number(place)} in line"
    click.echo(f"{full_id[:_SHORT]}  priority {before} -> {wanted}, {line}")


@main.command()
@click.argument("kind", type=_KINDS)
@click.argument("name")
@click.option("--reason", default="", help="Shown to whoever asks why a run waits.")
@_JSON
@_answering
def pause(instance: DagsterInstance, kind: str, name: str, reason: str, as_json: bool) -> None:
    """Launch no more runs of a location, user or host; what runs goes on."""
    changes.pause(instance, kind, name, reason)
    waiting = sum(1 for run in view(instance).line() if _is_of(run, kind, name))
    if as_json:
        _print_json({"kind": kind, "name": name, "paused": True, "waiting": waiting})
        return
    held = "" if kind == "host" else f"; {number(waiting)} queued runs wait for it"
    click.echo(f"{kind} {name} is paused{held}")
    click.echo(f"launch them again with: dagster-queue resume {kind} {name}")


@main.command()
@click.argument("kind", type=_KINDS)
@click.argument("name")
@_JSON
@_answering
def resume(instance: DagsterInstance, kind: str, name: str, as_json: bool) -> None:
    """Launch runs of a paused location, user or host again."""
    was_paused = changes.resume(instance, kind, name)
    if as_json:
        _print_json({"kind": kind, "name": name, "paused": False, "was_paused": was_paused})
    elif was_paused:
        click.echo(f"{kind} {name} is resumed")
    else:
        click.echo(f"{kind} {name} was not paused")


@main.command()
@click.option("--location", required=True, help="The code location whose queued runs are canceled.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_JSON
@_answering
def cancel(instance: DagsterInstance, location: str, yes: bool, as_json: bool) -> None:
    """Cancel all queued runs of a code location; what runs goes on."""
    began = time.monotonic()
    run_ids = [run.run_id for run in view(instance).line() if run.location == location]
    if run_ids and not (yes or as_json) and sys.stdin.isatty():
        click.confirm(f"Cancel {number(len(run_ids))} queued runs of location {location}?", abort=True)
    canceled = 0
    message = f"Canceled with all queued runs of code location {location}."
    for in_batch in changes.cancel(instance, run_ids, message):
        canceled += in_batch
        if sys.stderr.isatty():
            click.echo(f"\r{number(canceled)} of {number(len(run_ids))}", nl=False, err=True)
    if sys.stderr.isatty() and run_ids:
        click.echo("\r", nl=False, err=True)
    seconds = time.monotonic() - began
    if as_json:
        started = len(run_ids) - canceled
        _print_json({"location": location, "canceled": canceled, "left": started, "seconds": seconds})
        return
    click.echo(f"canceled {number(canceled)} queued runs of location {location} in {seconds:.1f} s")
    if canceled < len(run_ids):
        click.echo(f"{number(len(run_ids) - canceled)} left the queue meanwhile and were not touched")


def _queued_id(instance: DagsterInstance, seen: View, given: str) -> str:
    """Return the id of the one queued run that begins so."""
    found = [run_id for run_id in seen.queued() if run_id.startswith(given)]
    if len(found) == 1:
        return found[0]
    if found:
        raise OperatingError(f"{len(found)} queued runs begin with {given}: write more of the run's id.")
    run = instance.get_run_by_id(given)
    if run is None:
        raise OperatingError(f"No queued run begins with {given}: see dagster-queue list.")
    raise OperatingError(f"Run {given} is not queued: it is {run.status.value}.")


def _is_of(run: Waiting, kind: str, name: str) -> bool:
    return (run.location if kind == "location" else run.user) == name if kind != "host" else False


def _row(run: Waiting, now: float) -> tuple[str, ...]:
    return (
        str(run.place),
        run.run_id[:_SHORT],
        run.location or "-",
        run.job,
        run.user or "-",
        str(run.priority),
        duration(now - run.since),
        run.reason,
    )


def _totals(line: list[Waiting], seen: View) -> str:
    locations = Counter(run.location or "-" for run in line)
    shares = ", ".join(f"{name} {number(count)}" for name, count in locations.most_common(5))
    most = seen.snapshot.limits.max_concurrent_runs
    active = f"{number(seen.snapshot.active)} active" + (f" of {number(most)}" if most >= 0 else "")
    return f"{number(len(line))} queued, {active}" + (f" · {shares}" if shares else "")


def _clock(epoch: float) -> str:
    return f"since {datetime.fromtimestamp(epoch).astimezone():%Y-%m-%d %H:%M:%S}"


def _print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document))
