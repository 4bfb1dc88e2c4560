"""`dagfleet doctor`: is everything well, and if not, what is broken."""

import json
from typing import TYPE_CHECKING, Any

import click

from dagfleet.cli.settings import Settings, common_options, json_option
from dagfleet.cli.watching import watch_option, watched
from dagfleet.errors import EXIT_FAILED, EXIT_OK, EXIT_UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dagfleet.cli.terminal import Terminal
    from dagfleet.doctor.examination import Examined
    from dagfleet.errors import UnreachableError


@click.command(short_help="Walk each hop of each flow and name the broken one.")
@watch_option
@json_option
@common_options
@click.pass_obj
def doctor(settings: Settings, watch: float | None, as_json: bool) -> None:
    """Walk each hop of each flow, as the one who uses it, and name the broken one with its mend.

    Web UI, each location on each of its hosts, Docker, the database; changes nothing. Exits 0 when all is
    well, 1 when something is broken, 5 when a host does not answer.
    """
    from dagfleet.doctor.asking import ask
    from dagfleet.doctor.examination import examined
    from dagfleet.doctor.flows import flows
    from dagfleet.probe.units import count

    fleet_file = settings.fleet_file()
    terminal = settings.terminal
    wanted = flows(fleet_file.fleet)
    hops = len({hop.key for flow in wanted for hop in flow.hops})

    def look() -> int:
        with terminal.working("doctor", f"walking {count(hops, 'hop')} of {count(len(wanted), 'flow')}"):
            answers, silent = ask(fleet_file, wanted)
        found = examined(wanted, answers)
        if as_json:
            terminal.say(json.dumps(_facts(fleet_file.fleet.name, found, silent), indent=2))
        else:
            _print(found, silent, terminal, hops)
        broken = any(each.culprit for each in found)
        return EXIT_UNREACHABLE if silent else EXIT_FAILED if broken else EXIT_OK

    raise click.exceptions.Exit(watched(look, watch, terminal))


def _print(
    found: "Sequence[Examined]", silent: "Mapping[str, UnreachableError]", terminal: "Terminal", hops: int
) -> None:
    from dagfleet.probe.units import count

    for error in silent.values():
        terminal.say(terminal.paint(f"{error.message}.", fg="red"))
    sick = [each for each in found if each.culprit]
    told: set[tuple[str, str]] = set()
    for each in sick:
        culprit = each.culprit
        if culprit is None or culprit.key in told:
            continue
        told.add(culprit.key)
        also = [other.flow.title for other in sick if other.culprit and other.culprit.key == culprit.key]
        terminal.say(terminal.paint(each.flow.broken, fg="red"))
        _print_hops(each, terminal)
        if len(also) > 1:
            terminal.say(f"  the same stops {', '.join(title for title in also if title != each.flow.title)}")
    mends = list(dict.fromkeys(each.culprit.mend for each in sick if each.culprit))
    mends += [error.fix for error in silent.values() if error.fix]
    if mends:
        for number, mend in enumerate(mends):
            terminal.say(f"{'Next: ' if number == 0 else '      '}{mend}")
    else:
        terminal.say(f"All is well: {count(hops, 'hop')} of {count(len(found), 'flow')} walked.")


def _print_hops(each: "Examined", terminal: "Terminal") -> None:
    width = max(len(hop.title) for hop in each.flow.hops)
    for hop, answer in each.pairs:
        word, colour = (
            ("unknown", "yellow") if answer is None else ("ok", "green") if answer.ok else ("broken", "red")
        )
        fact = answer.fact if answer else f"{hop.host} could not be asked"
        terminal.say(f"  {hop.title:<{width}}  {terminal.paint(f'{word:<7}', fg=colour)}  {fact}".rstrip())
        for line in answer.lines if answer else ():
            terminal.say(f"      {line if terminal.colour else click.unstyle(line)}")
        if hop is each.culprit:
            return


def _facts(
    name: str, found: "Sequence[Examined]", silent: "Mapping[str, UnreachableError]"
) -> dict[str, Any]:
    return {
        "fleet": name,
        "well": not silent and all(each.well for each in found),
        "unreachable": {host: error.message for host, error in silent.items()},
        "flows": [
            {
                "flow": each.flow.title,
                "well": each.well,
                "hops": [
                    {
                        "hop": hop.title,
                        "host": hop.host,
                        "ok": answer and answer.ok,
                        "fact": answer and answer.fact,
                        "last_lines": list(answer.lines) if answer else [],
                        "mend": hop.mend,
                    }
                    for hop, answer in each.pairs
                ],
            }
            for each in found
        ],
    }
