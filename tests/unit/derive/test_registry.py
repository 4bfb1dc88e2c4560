"""What hosts are told about the fleet's own registry."""

import pytest
from dagfleet.derive import certificates, dagster_yaml
from dagfleet.derive.registry import in_registry, pulled, registry_name
from dagfleet.derive.ways import ways
from dagfleet.fleet import Fleet
from dagfleet.phases.images import images_to_send

from tests.unit.derive.test_host_vars import LOCATIONS, secret_values, variables
from tests.unit.fleet.texts import SECRETS_WITH_CI, fleet_with, location

NAME = "dagster.example.com:5000"


def fleet(registry: str = "{users: secret://ci}", **sections: str) -> Fleet:
    given = {"locations": LOCATIONS, "secrets": SECRETS_WITH_CI, **sections}
    return fleet_with(registry=f"registry: {registry}", **given)


def test_images_are_named_by_the_web_uis_host_name_or_one_of_its_own() -> None:
    assert registry_name(fleet()) == NAME
    other = fleet("{users: secret://ci, hostname: Images.Example.com, port: 5443}")
    assert registry_name(other) == "images.example.com:5443"
    assert registry_name(fleet_with()) is None


def test_without_a_registry_hosts_are_told_that_there_is_none() -> None:
    alpha, beta = variables("alpha"), variables("beta")
    assert alpha["mesh_registry"] is alpha["registry_port"] is beta["docker_registry"] is None
    assert "registry_port" not in beta
    assert "registry" not in {spec.name for spec in certificates(fleet_with())}


def test_the_control_host_serves_it_to_hosts_with_docker_and_to_logins() -> None:
    alpha = variables("alpha", fleet())
    assert alpha["registry_port"] == 5001
    assert alpha["mesh_registry"] == {
        "port": 5000,
        "hostname": "dagster.example.com",
        "hosts": ["alpha", "beta", "gamma"],
        "upstream": "127.0.0.1:5001",
    }
    users = "{{ lookup('dagfleet_secret', 'ci', logins=true) }}"
    assert users in {str(value) for value in secret_values(alpha)}
    assert users not in {str(value) for value in secret_values(variables("beta", fleet()))}


def test_its_certificate_has_the_name_that_images_begin_with() -> None:
    [leaf] = [spec for spec in certificates(fleet()) if spec.name == "registry"]
    assert (leaf.host, leaf.authority, leaf.usage) == ("alpha", "mesh", "server")
    assert (leaf.dns_names, leaf.ip_addresses) == (("dagster.example.com",), ("10.0.1.1",))


def test_hosts_with_docker_find_it_without_dns_and_show_their_certificate() -> None:
    for host in ("alpha", "beta", "gamma"):
        found = variables(host, fleet())
        assert found["docker_registry"] == NAME
        assert {"address": "10.0.1.1", "names": ["dagster.example.com"]} in found["base_hosts_entries"]
    delta = variables("delta", fleet())
    assert delta["docker_registry"] is None
    assert [entry["names"] for entry in delta["base_hosts_entries"]] == [["db.mesh"]]


@pytest.mark.parametrize(
    ("firewall", "sources"),
    [
        (None, []),
        ("firewall: {registry: [10.9.0.0/16]}", ["10.9.0.0/16", "10.0.1.1", "10.0.1.2", "10.0.1.3"]),
    ],
)
def test_its_port_is_open_on_the_control_host_alone(firewall: str | None, sources: list[str]) -> None:
    given = fleet(**({"firewall": firewall} if firewall else {}))
    assert variables("alpha", given)["base_open_ports"] == [
        {"port": 5000, "protocol": "tcp", "sources": sources}
    ]
    assert variables("beta", given)["base_open_ports"] == []


def test_its_images_are_pulled_where_others_are_pushed() -> None:
    own = location(image=f'"{NAME}/etl:2"')
    given = fleet(locations=own, docker="docker: {images: push}")
    assert pulled(given, f"{NAME}/etl:2")
    assert not pulled(given, "etl:2")
    assert not in_registry(given, f"{NAME}0/etl:2")
    assert "beta" not in images_to_send(given)
    assert variables("beta", given)["code_server_pull"] is True
    assert "pull_policy" not in dagster_yaml(given)


def test_another_image_changes_nothing_on_the_control_host_but_what_names_it() -> None:
    push = "docker: {images: push}"
    before = fleet(locations=location(), docker=push)
    after = fleet(locations=location(image=f'"{NAME}/etl:2"'), docker=push)
    changed = [name for name in before.hosts if variables(name, before) != variables(name, after)]
    assert changed == ["beta"]


def test_no_host_has_to_reach_it_before_the_apply_that_opens_it() -> None:
    given = fleet(locations=location(image=f'"{NAME}/etl:2"'))
    assert [way for way in ways(given) if way.port == 5000] == []
