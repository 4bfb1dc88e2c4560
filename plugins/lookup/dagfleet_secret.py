"""Resolves a secret of fleet.yml when a task needs it."""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: dagfleet_secret
short_description: A secret that fleet.yml declares
description:
  - Resolves a secret from its source (command, env, file or generated), at the moment a task needs it.
  - Under the C(dagfleet) command the values come from E(DAGFLEET_SECRETS), resolved once for all tasks.
options:
  _terms:
    description: Names of secrets.
    required: true
  fleet_file:
    description: Path of fleet.yml; without it the file that the inventory came from.
    type: path
  logins:
    description: Return lines C(user:password) as C(user:hash) instead of the secret as it is.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Write a password
  ansible.builtin.copy:
    content: "{{ lookup('dagfleet_secret', 'warehouse') }}"
    dest: /etc/warehouse/password
    mode: "0600"
  no_log: true
"""

RETURN = """
_raw:
  description: The secrets' values.
  type: list
  elements: str
"""


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core ships no types
    """The lookup plugin."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the value of each secret named in `terms`."""
        from dagfleet.errors import DagfleetError
        from dagfleet.fleet import load_fleet
        from dagfleet.secrets import Secrets

        self.set_options(var_options=variables, direct=kwargs)
        path = self.get_option("fleet_file") or (variables or {}).get("dagfleet_file")
        if not path:
            raise AnsibleLookupError(
                "no fleet.yml: use the inventory plugin dagfleet, or give fleet_file=PATH"
            )
        try:
            secrets = Secrets(load_fleet(path))
            if self.get_option("logins"):
                return [secrets.logins(name) for name in terms]
            return [secrets.resolve(name) for name in terms]
        except DagfleetError as error:
            raise AnsibleLookupError(
                f"{error.message}; {error.fix}" if error.fix else error.message
            ) from None
