"""`dagfleet init`: a commented fleet.yml to start from."""

import os
import sys
from pathlib import Path

import click

from dagfleet.cli.settings import Settings, common_options


@click.command(short_help="Write a commented fleet.yml and make the certificate authorities.")
@click.argument("hosts", metavar="[HOST]...", nargs=-1)
@click.option("--name", help="Name of the fleet. [default: the folder's]")
@click.option("--hostname", metavar="NAME", help="Name that people type to reach the web UI.")
@click.option("--process", multiple=True, metavar="HOST", help="This host gets no Docker; may be repeated.")
@common_options
@click.pass_obj
def init(
    settings: Settings,
    hosts: tuple[str, ...],
    name: str | None,
    hostname: str | None,
    process: tuple[str, ...],
) -> None:
    """Write a commented fleet.yml for the given hosts, the first of them the control host.

    HOST is an address, user@address or name=user@address; without any, they are asked for. An existing
    file is never overwritten. With a passphrase (DAGFLEET_CA_PASSPHRASE, or typed in) the certificate
    authorities are made as well, else by the first apply.
    """
    from dagfleet.cli.first_file import fleet_name, fleet_text, hosts_from
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet import load_fleet, parse_fleet

    path = settings.file or Path(os.environ.get("DAGFLEET_FILE") or "fleet.yml")
    if path.exists():
        raise ConfigurationError(f"{path} is there already", fix="edit it, or name another file with -f")
    asking = sys.stdin.isatty()
    if not hosts and asking:
        hosts = tuple(click.prompt("Your machines, as user@address, separated by spaces").split())
    if not hosts:
        raise ConfigurationError(
            "no host was named", fix="for example: dagfleet init ops@10.0.1.1 ops@10.0.1.2"
        )
    name = name or fleet_name(path.absolute().parent.name)
    if hostname is None and asking:
        hostname = click.prompt(
            "Name that people type to reach the web UI", default=f"dagster.{name}.example.com"
        )
    text = fleet_text(
        name=name,
        hosts=hosts_from(hosts),
        hostname=hostname or f"dagster.{name}.example.com",
        process=process,
    )
    parse_fleet(text, name=str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x") as file:
        file.write(text)
    terminal = settings.terminal
    terminal.line("init", f"{path} written")
    fleet_file = load_fleet(path)
    fleet_file.state.mkdir(mode=0o700, exist_ok=True)
    (fleet_file.state / ".gitignore").write_text("*\n")
    if os.environ.get("DAGFLEET_CA_PASSPHRASE") or asking:
        from dagfleet.phases.authorities import Store

        Store(fleet_file).unlocked()
        terminal.line(
            "init", f"certificate authorities made in {path.parent / '.dagfleet' / 'pki'}: back them up"
        )
    else:
        terminal.line(
            "init", "the first apply makes the certificate authorities: set DAGFLEET_CA_PASSPHRASE for it"
        )
    terminal.say(
        "Next: dagfleet check --accept-new-host-keys" + ("" if path == Path("fleet.yml") else f" -f {path}")
    )
