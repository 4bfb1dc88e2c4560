"""`dagfleet apply`: make the fleet what fleet.yml says."""

import re

import click

from dagfleet.cli.settings import Settings, common_options, limit_option, selected_hosts

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Span(click.ParamType[float]):
    """A time span such as 90s, 10m or 1h."""

    name = "time"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, int | float):
            return float(value)
        if match := re.fullmatch(r"(\d+)([smh]?)", value):
            return float(match[1]) * _UNITS[match[2]]
        return self.fail(f'"{value}" is not a time; write 90s, 10m or 1h', param, ctx)


@click.command(short_help="Make the fleet what fleet.yml says.")
@limit_option
@click.option("-y", "--yes", is_flag=True, help="Go on in spite of warnings without asking.")
@click.option(
    "--wait", type=Span(), default=0, metavar="TIME", help="Wait for another apply to end, such as 10m."
)
@click.option(
    "--accept-new-host-keys", is_flag=True, help="Trust the SSH host keys that hosts show for the first time."
)
@click.option("--full", is_flag=True, help="Run the roles also on hosts where nothing has changed.")
@common_options
@click.pass_obj
def apply(
    settings: Settings,
    *,
    limit: tuple[str, ...],
    yes: bool,
    wait: float,
    accept_new_host_keys: bool,
    full: bool,
) -> None:
    """Make the fleet what fleet.yml says; running it again changes nothing.

    Takes the lock, checks every host, issues certificates, runs the roles, sends images and asks the control
    plane whether all is well. Hosts that can go on do; stopped anywhere, the next apply finishes the job.
    A host that was made from the same file, secrets and roles before, and on which nobody has changed
    anything since, is passed over.
    """
    from dagfleet.cli.working import agreeing, working
    from dagfleet.phases.apply import PHASES
    from dagfleet.phases.phase import run

    fleet_file = settings.fleet_file()
    with working(settings, fleet_file, selected_hosts(fleet_file, limit), log="apply") as work:
        work.wait = wait
        work.accept_new_host_keys = accept_new_host_keys
        work.full = full
        work.agreed = agreeing(yes)
        run(work, PHASES)
