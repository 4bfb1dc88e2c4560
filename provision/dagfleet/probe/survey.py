"""All hosts asked at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from dagfleet.errors import UnreachableError
from dagfleet.probe.connection import Connection
from dagfleet.probe.report import HostReport
from dagfleet.probe.target import Target
from dagfleet.probe.trust import greet

PARALLEL = 32
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Survey:
    """What the hosts said, and which did not answer, in the order of fleet.yml."""

    reports: dict[str, HostReport]
    unreachable: dict[str, UnreachableError]


def survey(
    targets: Iterable[Target], also: Callable[[Connection], object] = lambda _connection: None
) -> Survey:
    """Ask every host for its report, in parallel; `also` asks more in the same session and thread."""

    def ask(connection: Connection) -> HostReport:
        report = _report(connection)
        also(connection)
        return report

    answers = on_each(targets, ask)
    return Survey(
        reports={name: answer for name, answer in answers.items() if isinstance(answer, HostReport)},
        unreachable={
            name: answer for name, answer in answers.items() if isinstance(answer, UnreachableError)
        },
    )


def on_each(
    targets: Iterable[Target], question: Callable[[Connection], _Result]
) -> dict[str, _Result | UnreachableError]:
    """Run `question` over one session per host, in parallel; a host that cannot be asked yields its error."""
    targets = list(targets)
    strangers = greet(targets)
    known = [target for target in targets if target.name not in strangers]
    if not known:
        return dict(strangers)

    # A thread per host: pyinfra's greenlets overlap only in a monkey-patched process, and this one is not.
    def ask(target: Target) -> _Result | UnreachableError:
        import gevent

        try:
            with Connection(target) as connection:
                return question(connection)
        except UnreachableError as error:
            return error
        finally:
            gevent.get_hub().destroy()

    with ThreadPoolExecutor(min(PARALLEL, len(known))) as pool:
        answers = dict(zip((target.name for target in known), pool.map(ask, known), strict=True))
    return {target.name: strangers.get(target.name) or answers[target.name] for target in targets}


def _report(connection: Connection) -> HostReport:
    from dagfleet.probe.fact import Report

    report: HostReport = connection.fact(Report)
    return report
