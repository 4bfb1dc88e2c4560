"""Secrets in derived values: named, never resolved."""

from dagfleet.fleet.model import Fleet
from dagfleet.fleet.values import secret_name


class SecretTemplate(str):
    """Jinja text that Ansible may evaluate; all other derived text is data, whatever it contains."""

    __slots__ = ()


def secret_template(reference: str) -> SecretTemplate:
    """Return the template that resolves `secret://NAME` when a task needs it."""
    return SecretTemplate(f"{{{{ lookup('dagfleet_secret', '{secret_name(reference) or reference}') }}}}")


def web_users_template(fleet: Fleet) -> SecretTemplate:
    """Return the template for the web UI's logins, hashed."""
    name = secret_name(fleet.control.web.users)
    return SecretTemplate(f"{{{{ lookup('dagfleet_secret', '{name}', web_users=true) }}}}")


def web_certificate_template(fleet: Fleet) -> str:
    """Return the template for a certificate and key given as a secret; empty without one."""
    given = fleet.control.web.certificate
    return secret_template(given) if given and secret_name(given) else ""
