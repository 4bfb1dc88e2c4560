"""The authorities' passphrase stays with the operator."""

from pathlib import Path

from dagfleet.fleet import load_fleet
from dagfleet.paths import bundle
from dagfleet.secrets import Secrets


def test_what_ansible_is_given_lacks_the_authorities_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text((bundle() / "inventory" / "lab" / "fleet.yml").read_text())
    secrets = Secrets(load_fleet(path), environ={})
    assert "ca_passphrase" not in secrets.resolve_all()
    assert {"warehouse", "web_users", "postgres_password"} <= set(secrets.resolve_all())
    hidden = secrets.resolve("ca_passphrase")
    assert secrets.masker()(f"it is {hidden}") == "it is ********"
