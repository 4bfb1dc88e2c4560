"""What fleet.yml may say about a registry of the fleet's own."""

import pytest

from tests.unit.fleet.texts import SECRETS_WITH_CI, fleet_with, problems_with


def test_nothing_said_means_no_registry() -> None:
    assert fleet_with().registry is None


def test_users_are_all_that_has_to_be_said() -> None:
    registry = fleet_with(registry="registry: {users: secret://ci}", secrets=SECRETS_WITH_CI).registry
    assert registry
    assert (registry.users, registry.hostname, registry.port) == ("secret://ci", None, 5000)


@pytest.mark.parametrize(
    ("said", "key", "fact"),
    [
        ("{}", "registry.users", "missing"),
        ("{users: 'ci:hunter2'}", "registry.users", "a secret never stands here in clear"),
        ("{users: secret://nobody}", "registry.users", 'no secret is named "nobody"'),
        ("{users: secret://text}", "registry.users", '"text" is random text, not users'),
        ("{users: secret://ci, hostname: 10.0.1.1}", "registry.hostname", "is not a host name"),
        ("{users: secret://ci, port: 443}", "registry.port", "port 443 is used by control.web.port on alpha"),
        ("{users: secret://ci, port: 2376}", "registry.port", "port 2376 is used by hosts.alpha.docker_port"),
        (
            "{users: secret://ci, port: 5001}",
            "registry.port",
            "port 5001 is used by the registry behind HAProxy",
        ),
        ("{users: secret://ci, port: 20002}", "registry.port", "port 20002 may be given to a location"),
        ("{users: secret://ci, user: ada}", "registry.user", 'did you mean "users"?'),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_write(said: str, key: str, fact: str) -> None:
    told = problems_with(registry=f"registry: {said}", secrets=SECRETS_WITH_CI)
    assert fact in told[key]


def test_a_firewall_for_a_registry_that_is_not_there_is_a_mistake() -> None:
    told = problems_with(firewall="firewall: {registry: [10.0.9.0/24]}")
    assert told == {"firewall.registry": "there is no registry; write registry: {users: secret://NAME}"}


def test_its_port_is_not_opened_twice() -> None:
    told = problems_with(
        registry="registry: {users: secret://ci}",
        firewall="firewall: {open: [{port: 5000}]}",
        secrets=SECRETS_WITH_CI,
    )
    assert told["firewall.open.port"] == "5000 is Dagfleet's own; firewall.registry says who may use it"
