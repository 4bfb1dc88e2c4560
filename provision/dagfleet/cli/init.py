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
@click.option(
    "--from-terraform",
    metavar="DIR",
    help="Take hosts, control host and firewall from this Terraform configuration, now and ever after.",
)
@common_options
@click.pass_obj
def init(
    settings: Settings,
    hosts: tuple[str, ...],
    *,
    name: str | None,
    hostname: str | None,
    process: tuple[str, ...],
    from_terraform: str | None,
) -> None:
    """Write a commented fleet.yml for the given hosts, the first of them the control host.

    HOST is an address, user@address or name=user@address; without any, they are asked for. With
    --from-terraform the file names no hosts: each command reads them from there. An existing file is never
    overwritten. With a passphrase (DAGFLEET_CA_PASSPHRASE, or typed in) the certificate
    authorities are made as well, else by the first apply.
    """
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet import load_fleet

    path = settings.file or Path(os.environ.get("DAGFLEET_FILE") or "fleet.yml")
    if path.exists():
        raise ConfigurationError(f"{path} is there already", fix="edit it, or name another file with -f")
    asking = sys.stdin.isatty()
    if from_terraform is None:
        text = _of_hosts(path, hosts, name=name, hostname=hostname, process=process, asking=asking)
    else:
        if hosts or process or name:
            raise ConfigurationError(
                "with --from-terraform, hosts and the fleet's name come from there",
                fix="take HOST, --name and --process out",
            )
        text = _of_terraform(path, from_terraform, hostname=hostname, asking=asking)
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


def _of_hosts(
    path: Path,
    hosts: tuple[str, ...],
    *,
    name: str | None,
    hostname: str | None,
    process: tuple[str, ...],
    asking: bool,
) -> str:
    from dagfleet.cli.first_file import fleet_name, fleet_text, hosts_from
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet import parse_fleet

    if not hosts and asking:
        hosts = tuple(click.prompt("Your machines, as user@address, separated by spaces").split())
    if not hosts:
        raise ConfigurationError(
            "no host was named", fix="for example: dagfleet init ops@10.0.1.1 ops@10.0.1.2"
        )
    name = name or fleet_name(path.absolute().parent.name)
    text = fleet_text(
        name=name, hosts=hosts_from(hosts), hostname=_hostname(hostname, name, asking), process=process
    )
    parse_fleet(text, name=str(path))
    return text


def _of_terraform(path: Path, source: str, *, hostname: str | None, asking: bool) -> str:
    from dagfleet.cli.first_file import fleet_text_from_terraform
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet import parse_fleet
    from dagfleet.fleet.contract import NoContract, read_contract

    try:
        contract = read_contract(source, folder=Path())
    except NoContract as error:
        raise ConfigurationError(str(error)) from None
    hosts, control = contract.get("hosts", {}), contract.get("control", {})
    web = control.get("web")
    said = web.get("hostname") if isinstance(web, dict) else None
    if said and hostname:
        raise ConfigurationError(
            f"{source} says already that people type {said}", fix="take --hostname out, or change it there"
        )
    text = fleet_text_from_terraform(
        # Relative to the file that it stands in, like all of its paths.
        source=os.path.relpath(Path(source).expanduser(), path.absolute().parent),
        hosts=list(hosts),
        bare=[
            name for name, host in hosts.items() if isinstance(host, dict) and host.get("docker") == "none"
        ],
        control=str(control.get("host", "")),
        hostname=None if said else _hostname(hostname, contract.get("name", "prod"), asking),
    )
    parse_fleet(text, name=str(path), ask=lambda _: contract)
    return text


def _hostname(given: str | None, name: str, asking: bool) -> str:
    usual = f"dagster.{name}.example.com"
    if given is None and asking:
        return str(click.prompt("Name that people type to reach the web UI", default=usual))
    return given or usual
