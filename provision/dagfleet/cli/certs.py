"""`dagfleet certs`: certificates and authorities between two applies."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from dagfleet.cli.apply import Span
from dagfleet.cli.groups import Page
from dagfleet.cli.settings import Settings, common_options, json_option, selected_hosts
from dagfleet.errors import EXIT_OK, EXIT_UNREACHABLE

if TYPE_CHECKING:
    from dagfleet.phases.phase import Phase

wait_option = click.option(
    "--wait", type=Span(), default=0, metavar="TIME", help="Wait for another command to end, such as 10m."
)


class CertsPage(Page):
    """Its help."""

    sections: ClassVar = {"Commands": ("list", "renew", "rotate-ca", "revoke", "export")}
    examples = """
dagfleet certs list                    what is where, and for how long
dagfleet certs renew --all --host beta beta's certificates again, nobody else's
dagfleet certs rotate-ca mesh          a new authority, no call lost; stopped, the same again goes on
dagfleet certs revoke reader           the laptop is gone
"""


@click.group(cls=CertsPage, short_help="See, renew, rotate and revoke certificates.")
@common_options
def certs() -> None:
    """See certificates, renew them before their time, rotate authorities, revoke what was stolen.

    An apply renews what is due by itself. Nothing here restarts HAProxy, Docker, the launcher or a run.
    """


@certs.command("list", short_help="Show every certificate, where it is and how long it lasts.")
@json_option
@common_options
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """Show every certificate: host, identity, expiry, authority, fingerprint and where hosts really have it.

    Exits 5 when a host does not answer; its lines then say what was last issued for it.
    """
    from dagfleet.cli.certificates import print_json, print_table
    from dagfleet.cli.inventoried import inventoried

    fleet_file = settings.fleet_file()
    terminal = settings.terminal
    with terminal.working("certs", "asking hosts"):
        found = inventoried(fleet_file)
    (print_json if as_json else print_table)(found, terminal)
    raise click.exceptions.Exit(EXIT_UNREACHABLE if found.unreachable else EXIT_OK)


@certs.command(short_help="Renew certificates now, without an apply.")
@click.option("--all", "everything", is_flag=True, help="Those that are not due, too.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Only this host's; may be repeated.")
@wait_option
@common_options
@click.pass_obj
def renew(settings: Settings, everything: bool, hosts: tuple[str, ...], wait: float) -> None:
    """Renew certificates that are due (a third of their life left, or other names), or all of them.

    Keys stay where they are. Hosts where nothing is due are not touched.
    """
    from dagfleet.phases.renewing import Renew

    _run(settings, "renew", [Renew(everything=everything, operators=not hosts)], wait=wait, limit=hosts)


@certs.command("rotate-ca", short_help="Replace an authority by a new one, without losing a call.")
@click.argument("authority", type=click.Choice(["docker", "mesh"]))
@wait_option
@common_options
@click.pass_obj
def rotate_ca(settings: Settings, authority: str, wait: float) -> None:
    """Replace an authority in four steps: trust both, new servers, new clients, drop the old one.

    Stopped or killed at any point, the same command goes on from there; an apply meanwhile keeps to the step.
    All hosts have to answer. The old authority's key is gone at the end.
    """
    from dagfleet.phases.rotating import Rotate

    _run(settings, f"rotate-ca {authority}", [Rotate(authority)], wait=wait)


@certs.command(short_help="Refuse a certificate everywhere from now on.")
@click.argument("name")
@wait_option
@common_options
@click.pass_obj
def revoke(settings: Settings, name: str, wait: float) -> None:
    """Refuse a certificate everywhere from now on; its owner in fleet.yml gets another one, with a new key.

    NAME is an identity (reader), a certificate (beta/mesh-client) or the beginning of a fingerprint. An
    identity means all certificates that it was ever given. Open connections end: of all who have some to the
    same service, so SQL statements under way fail when a host's certificate is revoked.

    With docker.access ssh, launcher means its SSH key: another one is made, and only that one is let in.
    """
    from dagfleet.derive.docker_ssh import over_ssh
    from dagfleet.phases.launcher_key import RevokeLauncherKey
    from dagfleet.phases.revoking import Revoke

    by_ssh = name == "launcher" and over_ssh(settings.fleet_file().fleet)
    _run(settings, f"revoke {name}", [RevokeLauncherKey() if by_ssh else Revoke(name)], wait=wait)


@certs.command(short_help="Write a reader's certificate for another machine.")
@click.argument("identity", type=click.Choice(["reader"]))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR")
@wait_option
@common_options
@click.pass_obj
def export(settings: Settings, identity: str, out: Path, wait: float) -> None:
    """Write ca.pem, cert.pem and key.pem into DIR, for Docker's own client and for monitoring.

    It can list and inspect containers and read their logs on every host, and nothing else. The key is a new
    one: revoking it takes it back from this machine only.
    """
    from dagfleet.phases.exporting import Export

    _run(settings, f"export {identity}", [Export(identity, out)], wait=wait, asks_hosts=False)


def _run(
    settings: Settings,
    what: str,
    phases: "Sequence[Phase]",
    *,
    wait: float,
    limit: tuple[str, ...] = (),
    asks_hosts: bool = True,
) -> None:
    from dagfleet.cli.working import working
    from dagfleet.phases.locking import Lock
    from dagfleet.phases.phase import run
    from dagfleet.phases.surveying import Look
    from dagfleet.pki import Authorities

    fleet_file = settings.fleet_file()
    hosts = selected_hosts(fleet_file, limit)
    # Authorities are made by an apply alone; here a store that is missing or damaged ends it all.
    Authorities.load(fleet_file.state / "pki")
    command = f"dagfleet certs {what}"
    with working(settings, fleet_file, hosts, log="certs", command=command) as work:
        work.wait = wait
        run(work, [Lock(), *([Look()] if asks_hosts else []), *phases])
