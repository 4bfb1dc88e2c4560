"""How Ansible reaches hosts: mitogen keeps one Python there for a whole play, not one for each task."""

import importlib.util
from importlib.metadata import version
from pathlib import Path

# Ansible promises third-party strategies nothing, so only what these roles were tried with (decision 0011).
TRIED = ("2.19.",)
# Mitogen puts options of its own before ansible.cfg's, whose patience with a silent host this is: 45 s.
VARIABLES = {"mitogen_ssh_keepalive_interval": 15, "mitogen_ssh_keepalive_count": 3}


def environment() -> dict[str, str]:
    """Return Ansible's settings for it; none, so Ansible's own way, with a version it was not tried with."""
    found = importlib.util.find_spec("ansible_mitogen")
    if found is None or found.origin is None or not version("ansible-core").startswith(TRIED):
        return {}
    return {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(Path(found.origin).parent / "plugins/strategy"),
        # It would say at each start that such strategies have no future.
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
    }
