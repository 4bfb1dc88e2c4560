"""Secrets in derived values: named, never resolved."""

from typing import Self

from dagfleet.fleet.model import Fleet
from dagfleet.fleet.values import secret_name


class SecretTemplate(str):
    """Jinja text that Ansible may evaluate; all other derived text is data, whatever it contains."""

    names: tuple[str, ...]
    """The secrets it stands for."""

    def __new__(cls, text: str, *names: str) -> Self:
        """Return the text, with the names of its secrets."""
        template = super().__new__(cls, text)
        template.names = names
        return template


def secret_template(reference: str) -> SecretTemplate:
    """Return the template that resolves `secret://NAME` when a task needs it."""
    name = secret_name(reference) or reference
    return SecretTemplate(f"{{{{ lookup('dagfleet_secret', '{name}') }}}}", name)


def logins_template(reference: str) -> SecretTemplate:
    """Return the template for the logins that `secret://NAME` holds, hashed."""
    name = secret_name(reference) or ""
    return SecretTemplate(
        f"{{{{ lookup('dagfleet_secret', '{name}', logins=true) }}}}", name, "web_users_salt"
    )


def web_certificate_template(fleet: Fleet) -> str:
    """Return the template for a certificate and key given as a secret; empty without one."""
    given = fleet.control.web.certificate
    return secret_template(given) if given and secret_name(given) else ""
