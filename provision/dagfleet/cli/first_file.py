"""The first fleet.yml of a fleet, as text."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dagfleet.errors import ConfigurationError
from dagfleet.fleet.values import NAME
from dagfleet.fleet.versions import dagster_versions

GREEK = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
)


@dataclass(frozen=True)
class NewHost:
    """A host as the command line names it."""

    name: str
    address: str
    user: str | None


def hosts_from(words: Sequence[str]) -> list[NewHost]:
    """Return the hosts in `address`, `user@address` or `name=user@address`; others are alpha, beta..."""
    hosts: list[NewHost] = []
    named = {word.partition("=")[0] for word in words if "=" in word}
    free = (
        letter for letter in (*GREEK, *(f"host{number}" for number in range(13, 1000))) if letter not in named
    )
    for word in words:
        name, equals, rest = word.rpartition("=")
        user, at, address = rest.rpartition("@")
        if (equals and not name) or (at and not user) or not address:
            raise ConfigurationError(
                f'"{word}" is not a host', fix="write an address, user@address or name=user@address"
            )
        hosts.append(NewHost(name or next(free), address, user or None))
    return hosts


def fleet_name(folder: str) -> str:
    """Return a fleet name made from a folder's."""
    text = re.sub(r"[^a-z0-9-]+", "-", folder.lower()).strip("-")
    return text[:31] if NAME.fullmatch(text[:31]) else "prod"


def fleet_text(*, name: str, hosts: Sequence[NewHost], hostname: str, process: Sequence[str] = ()) -> str:
    """Return a fleet.yml with these hosts, commented for someone who sees one for the first time."""
    known = {host.name for host in hosts} | {host.address for host in hosts}
    for wanted in process:
        if wanted not in known:
            raise ConfigurationError(
                f'--process names "{wanted}", which is no host', fix=f"one of {', '.join(sorted(known))}"
            )
    rows = "\n".join(_row(host, host.name in process or host.address in process) for host in hosts)
    runners = [host.name for host in hosts[1:] if host.name not in process and host.address not in process]
    place = ", ".join(runners or [hosts[0].name])
    return f"""\
# A fleet: one file, everything else follows from it. All keys: dagfleet config schema
version: 1
name: {name}

{_dagster()}

# The control host runs the web server, the daemon and the database; the web UI has TLS and a login, always.
control:
  host: {hosts[0].name}
  web:
    hostname: {hostname}
    users: secret://web_users

hosts:
{rows}

{_locations(place)}
{_secrets()}
# Who may reach the Docker endpoints besides the fleet: your own address, to send images from here.
# firewall: {{operators: [192.0.2.7]}}
"""


def fleet_text_from_terraform(
    *, source: str, hosts: Sequence[str], bare: Sequence[str], control: str, hostname: str | None
) -> str:
    """Return a fleet.yml that leaves name, control host, hosts and firewall to Terraform.

    `hosts`, those of them without Docker (`bare`) and `control` are what Terraform says now; `hostname` is
    None where it says that, too.
    """
    runners = [name for name in hosts if name not in {control, *bare}]
    hostname_row = f"    hostname: {hostname}\n" if hostname else ""
    return f"""\
# A fleet: its machines are Terraform's, the rest stands here. All keys: dagfleet config schema
version: 1

# Its output "dagfleet" says name, control host, hosts, docker.access and firewall; a host added
# there is in the next plan.
# A key stands there or here: what Terraform leaves out of a host can be added here, and so can other hosts.
terraform: {json.dumps(source)}

{_dagster()}

# The web UI has TLS and a login, always.
control:
  web:
{hostname_row}    users: secret://web_users

{_locations(", ".join(runners or [control]))}
{_secrets()}"""


def _dagster() -> str:
    return f'dagster: {{version: "{dagster_versions()[-1]}"}}'


def _locations(place: str) -> str:
    return f"""\
# Code locations: where their code comes from and which hosts run it; the first serves it, others stand by.
# locations:
#   etl:
#     hosts: [{place}]
#     image: registry.example.com/etl:1.0.0     # pinned; it has dagster and your code
#     module: etl.defs
#     limits: {{concurrent_runs: 10}}
#     env: {{WAREHOUSE_PASSWORD: secret://warehouse}}
"""


def _secrets() -> str:
    return """\
# Where secrets come from when they are needed: command, env, file or generated. Never in this file.
secrets:
  web_users: {generated: {users: [admin]}}     # the password: .dagfleet/secrets/web_users
#  warehouse: {command: "op read op://prod/warehouse"}
"""


def _row(host: NewHost, process: bool) -> str:
    ssh = f", ssh: {{user: {host.user}}}" if host.user else ""
    docker = ", docker: none" if process else ""
    return f"  {host.name}: {{address: {host.address}{ssh}{docker}}}"
