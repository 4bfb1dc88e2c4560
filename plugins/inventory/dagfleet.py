"""Makes an Ansible inventory from fleet.yml."""

import getpass
import shlex
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.template import trust_as_template

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile

DOCUMENTATION = """
name: dagfleet
short_description: A fleet as its fleet.yml describes it
description:
  - Reads the same C(fleet.yml) as the C(dagfleet) command; each host gets the variables of Dagfleet's roles.
  - Groups are C(dagfleet) (all hosts), C(control), C(docker_hosts) and C(process_hosts).
  - Secrets stay templates until a task needs them.
  - C(host_vars) and C(group_vars) beside the file keep working.
"""

EXAMPLES = """
# ansible-inventory -i inventory/example --graph
# ansible-playbook -i inventory/example playbooks/site.yml
"""


# "dagfleet.fleet." in the installed collection, whose plugins are found by their full names alone.
COLLECTION = "".join(
    f"{part}." for part in __name__.split(".")[1:3] if __name__.startswith("ansible_collections.")
)


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]  # ansible-core ships no types
    """The inventory plugin."""

    NAME = "dagfleet"

    def verify_file(self, path: str) -> bool:
        """Tell whether this is a file for us: fleet.yml, what an upgrade wants it to be, and no other."""
        return bool(super().verify_file(path)) and Path(path).name in {"fleet.yml", "fleet.upgrade.yml"}

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill `inventory`; raise AnsibleParserError with all of the file's problems."""
        super().parse(inventory, loader, path, cache)
        from dagfleet.derive import groups
        from dagfleet.errors import DagfleetError, FleetFileError
        from dagfleet.fleet import load_fleet
        from dagfleet.image import artifacts

        try:
            fleet_file = load_fleet(Path(path))
            built = artifacts(fleet_file)
        except FleetFileError as error:
            raise AnsibleParserError("\n".join([f"{error.message}:", *_lines(error)])) from None
        except DagfleetError as error:
            raise AnsibleParserError(
                f"{error.message}; {error.fix}" if error.fix else error.message
            ) from None
        for group, members in groups(fleet_file.fleet).items():
            inventory.add_group(group)
            for name in members:
                inventory.add_host(name, group=group)
        for name in fleet_file.fleet.hosts:
            for key, value in _variables(fleet_file, name, built).items():
                inventory.set_variable(name, key, _trusted(value))


def _variables(fleet_file: "FleetFile", host_name: str, built: Any) -> dict[str, Any]:
    """Return a host's variables with what only this machine knows: paths, and who applies."""
    from dagfleet.derive import host_vars
    from dagfleet.derive.docker_ssh import launcher_key

    variables = host_vars(fleet_file.fleet, host_name, built)
    # Quoted twice: Ansible splits the arguments, and ssh a file's name at its blanks.
    known_hosts = shlex.quote(f'UserKnownHostsFile="{fleet_file.state / "known_hosts"}"')
    key = fleet_file.fleet.hosts[host_name].ssh.key
    return {
        **variables,
        "base_record": {
            **variables["base_record"],
            "applied_by": f"{getpass.getuser()}@{socket.gethostname()}",
        },
        "mesh_certificates_source": str(fleet_file.state / "pki" / "leaves" / host_name),
        "docker_ssh_public_key": str(launcher_key(fleet_file.state)),
        "docker_ssh_known_hosts": str(fleet_file.state / "known_hosts"),
        "mesh_authorities_source": str(fleet_file.state / "pki"),
        "ansible_ssh_common_args": f"-o {known_hosts} -o StrictHostKeyChecking=yes",
        **(
            {"ansible_ssh_private_key_file": str(fleet_file.directory / Path(key).expanduser())}
            if key
            else {}
        ),
        "dagfleet_file": str(fleet_file.path),
    }


def _trusted(value: Any) -> Any:
    """Let Ansible evaluate the templates that name secrets; all other text stays what the user wrote.

    Text that cannot be a template is trusted too: Ansible lists it without a note that it is not.
    """
    from dagfleet.derive import SecretTemplate

    if isinstance(value, dict):
        return {key: _trusted(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_trusted(below) for below in value]
    if isinstance(value, SecretTemplate):
        return trust_as_template(value.replace("lookup('", f"lookup('{COLLECTION}", 1))
    if isinstance(value, str) and "{" not in value:
        return trust_as_template(value)
    return value


def _lines(error: Any) -> list[str]:
    return [f"  {problem.line or '':>4}  {problem.key}  {problem.fact}" for problem in error.problems]
