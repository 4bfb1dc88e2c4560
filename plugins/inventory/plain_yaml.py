"""Reads Ansible's own YAML inventories, but never fleet.yml."""

from pathlib import Path

from ansible.plugins.inventory.yaml import InventoryModule as AnsibleYaml

DOCUMENTATION = """
name: plain_yaml
short_description: Ansible's YAML inventories beside fleets
description:
  - Ansible offers a file to one plugin after the other until one can read it. Its own YAML plugin reads a
    C(fleet.yml) with mistakes as an inventory of no hosts, and a play of no hosts succeeds.
  - This plugin is the same, but leaves C(fleet.yml) and its neighbours alone.
options:
  yaml_extensions:
    description: Extensions of files to read.
    type: list
    elements: string
    default: [.yaml, .yml, .json]
"""


class InventoryModule(AnsibleYaml):  # type: ignore[misc]  # ansible-core ships no types
    """The inventory plugin."""

    NAME = "plain_yaml"

    def verify_file(self, path: str) -> bool:
        """Tell whether this is a YAML inventory away from any fleet."""
        return not Path(path).with_name("fleet.yml").is_file() and bool(super().verify_file(path))
