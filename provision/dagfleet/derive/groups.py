"""Which hosts play which part."""

from dagfleet.fleet.model import Fleet


def groups(fleet: Fleet) -> dict[str, list[str]]:
    """Return Ansible's groups: every host is in `dagfleet`, and in those of its parts."""
    return {
        "dagfleet": list(fleet.hosts),
        "control": [fleet.control.host],
        "standby": [fleet.control.standby] if fleet.control.standby else [],
        "docker_hosts": [name for name, host in fleet.hosts.items() if host.runs_docker],
        "process_hosts": [name for name, host in fleet.hosts.items() if not host.runs_docker],
    }
