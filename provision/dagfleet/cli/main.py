"""`dagfleet`: one file describes a fleet, this makes it so."""

import signal
import sys
from types import FrameType
from typing import ClassVar

import click

from dagfleet import __version__
from dagfleet.cli.apply import apply
from dagfleet.cli.backup import backup
from dagfleet.cli.certs import certs
from dagfleet.cli.check import check
from dagfleet.cli.completion import completion
from dagfleet.cli.config import config
from dagfleet.cli.deploy import deploy, rollback
from dagfleet.cli.destroy import destroy
from dagfleet.cli.doctor import doctor
from dagfleet.cli.failover import failover
from dagfleet.cli.failure import guarded
from dagfleet.cli.groups import Page
from dagfleet.cli.history import history
from dagfleet.cli.host import host
from dagfleet.cli.image import image
from dagfleet.cli.init import init
from dagfleet.cli.lab import lab
from dagfleet.cli.lock import lock
from dagfleet.cli.logs import logs
from dagfleet.cli.plan import plan
from dagfleet.cli.queue import queue
from dagfleet.cli.settings import Settings, common_options
from dagfleet.cli.status import status
from dagfleet.cli.upgrade import upgrade


class Root(Page):
    """The top of the help."""

    sections: ClassVar = {
        "From a file to a fleet": ("init", "check", "plan", "apply"),
        "A fleet at work": (
            "status",
            "doctor",
            "logs",
            "queue",
            "deploy",
            "rollback",
            "upgrade",
            "host",
            "certs",
            "image",
            "backup",
            "failover",
            "history",
            "lock",
            "destroy",
        ),
        "Around it": ("config", "completion", "lab"),
    }
    examples = """
dagfleet init ops@10.0.1.1 ops@10.0.1.2    write a fleet.yml for two machines
dagfleet check                             is everything ready? changes nothing
dagfleet apply                             make it so; again: nothing changes
dagfleet plan || echo changes pending      for scripts: exit 0 nothing, 2 something
dagfleet deploy etl --image etl:1.4.3      calls and schedules notice nothing; back: dagfleet rollback etl
dagfleet logs etl --follow                 what a location's code servers say
dagfleet status --json | jq .locations     every reading command speaks JSON
"""


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="dagfleet %(version)s")
@common_options
@click.pass_context
def cli(context: click.Context) -> None:
    """Turn a handful of Linux machines into one secure Dagster deployment.

    Hosts and code locations stand in one file, fleet.yml; certificates, workspace, launcher, firewall and
    services follow from it.

    Exit codes: 0 done · 1 failed · 2 changes pending (plan) · 3 bad configuration · 4 locked by another
    command · 5 host unreachable.
    """
    context.ensure_object(Settings)


for command in (
    init,
    check,
    plan,
    apply,
    status,
    doctor,
    logs,
    queue,
    deploy,
    rollback,
    upgrade,
    host,
    certs,
    image,
    backup,
    failover,
    history,
    lock,
    destroy,
    config,
    completion,
    lab,
):
    cli.add_command(command)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    settings = Settings()
    return guarded(
        lambda: cli.main(args=arguments, prog_name="dagfleet", standalone_mode=False, obj=settings),
        debug=lambda: settings.debug,
    )


def main() -> None:
    """Run the command line of this process."""
    # A terminated command ends like an interrupted one: in order, the lock given back.
    signal.signal(signal.SIGTERM, _interrupt)
    # Started in the background by a shell without job control, SIGINT arrives ignored; a kill -INT means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
