"""What Ansible is told about each host."""

from pathlib import Path
from typing import Any

import pytest
from dagfleet.derive import Artifacts, LauncherPackage, ProcessRelease, SecretTemplate, groups, host_vars
from dagfleet.fleet import Fleet

from tests.unit.fleet.texts import fleet_with

LOCATIONS = """
locations:
  etl:
    hosts: [beta, gamma]
    image: etl:1
    module: etl.defs
    attribute: defs
    env: {PLAIN: "{{ text }}", PASSWORD: secret://warehouse}
  reporting: {hosts: [delta], requirements: [./reporting], python_file: reporting.py, working_directory: /srv}
"""
EXTERNAL = "postgres: {mode: external, url: secret://warehouse}"


def variables(host: str, fleet: Fleet | None = None, *, archive: str = "/tmp/r.tar") -> dict[str, Any]:  # noqa: S108
    release = ProcessRelease(digest="abc", archive=Path(archive))
    built = Artifacts(
        control_image="dagfleet/control-plane:1",
        launcher=LauncherPackage(digest="def", archive=Path(archive)),
        process_releases={"reporting": release},
    )
    return host_vars(fleet or fleet_with(locations=LOCATIONS), host, built)


def secret_values(value: object) -> list[SecretTemplate]:
    if isinstance(value, dict):
        return [found for below in value.values() for found in secret_values(below)]
    if isinstance(value, list):
        return [found for below in value for found in secret_values(below)]
    return [value] if isinstance(value, SecretTemplate) else []


def test_groups_follow_the_parts_that_hosts_play() -> None:
    assert groups(fleet_with()) == {
        "dagfleet": ["alpha", "beta", "gamma", "delta"],
        "control": ["alpha"],
        "standby": [],
        "docker_hosts": ["alpha", "beta", "gamma"],
        "process_hosts": ["delta"],
    }


def test_a_host_that_comes_changes_nothing_but_itself_and_the_control_host() -> None:
    before = fleet_with(locations=LOCATIONS)
    added = before.hosts["beta"].model_copy(update={"address": "10.0.1.9"})
    pool = before.locations["etl"].model_copy(update={"hosts": (*before.locations["etl"].hosts, "epsilon")})
    after = before.model_copy(
        update={
            "hosts": {**before.hosts, "epsilon": added},
            "locations": {**before.locations, "etl": pool},
        }
    )
    changed = [name for name in before.hosts if variables(name, before) != variables(name, after)]
    assert changed == ["alpha"]


def test_only_the_control_host_is_let_in_to_another_hosts_mesh_and_docker() -> None:
    assert variables("beta")["base_fleet_addresses"] == ["10.0.1.1"]
    assert variables("beta")["base_docker_client_addresses"] == ["10.0.1.1"]
    assert variables("alpha")["base_fleet_addresses"] == ["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4"]


def test_the_control_host_carries_calls_to_each_pool_in_its_order() -> None:
    alpha = variables("alpha")
    assert [egress["name"] for egress in alpha["mesh_grpc_egress"]] == ["etl", "reporting"]
    assert alpha["mesh_grpc_egress"][0] == {
        "name": "etl",
        "port": 31080,
        "servers": [
            {"host": "beta", "address": "10.0.1.2", "port": 4443},
            {"host": "gamma", "address": "10.0.1.3", "port": 4443},
        ],
    }
    assert alpha["mesh_grpc_egress_bind"] == "172.31.251.1"
    assert alpha["mesh_web"] == {
        "port": 443,
        "hostname": "dagster.example.com",
        "certificate": None,
        "acme_port": None,
    }
    assert variables("beta")["mesh_grpc_egress"] == []
    assert variables("beta")["mesh_web"] is None


def test_each_host_lets_in_only_the_locations_that_it_serves() -> None:
    assert variables("alpha")["mesh_locations"] == []
    assert variables("gamma")["mesh_locations"] == [{"name": "etl", "port": 31080}]
    assert variables("delta")["mesh_locations"] == [{"name": "reporting", "port": 26702}]


def test_the_database_is_reached_by_fleet_hosts_through_the_control_host() -> None:
    alpha, beta, delta = variables("alpha"), variables("beta"), variables("delta")
    assert alpha["mesh_database_identities"] == ["alpha", "beta", "gamma", "delta"]
    assert alpha["mesh_database_server"] is None
    assert beta["mesh_database_identities"] == []
    assert beta["mesh_database_server"] == {"host": "alpha", "address": "10.0.1.1", "port": 4443}
    assert beta["mesh_database_egress"] == [{"bind": "172.31.250.1", "source": "172.31.250.0/24"}]
    assert delta["mesh_database_egress"] == [{"bind": "127.0.0.1", "source": "127.0.0.0/8"}]
    assert delta["base_hosts_entries"] == [{"address": "127.0.0.1", "names": ["db.mesh"]}]


def test_a_host_without_docker_has_no_docker_endpoint_and_no_networks() -> None:
    delta = variables("delta")
    assert delta["mesh_docker_port"] is None
    assert delta["docker_networks"] == []
    assert "code_server_locations" not in delta


def test_containers_of_different_locations_cannot_talk_to_each_other() -> None:
    assert [(net["name"], net["icc"]) for net in variables("alpha")["docker_networks"]] == [
        ("dagfleet", False),
        ("dagfleet-control", True),
    ]
    assert [net["name"] for net in variables("beta")["docker_networks"]] == ["dagfleet"]


def test_a_code_server_gets_plain_and_secret_environment_apart() -> None:
    (etl,) = variables("beta")["code_server_locations"]
    assert etl["arguments"] == ["-m", "etl.defs", "-a", "defs", "--location-name", "etl"]
    assert etl["environment"] == {
        "PGPASSFILE": "/run/dagfleet/location/pgpass",
        "PLAIN": "{{ text }}",
    }
    assert etl["secret_environment"] == {"PASSWORD": "{{ lookup('dagfleet_secret', 'warehouse') }}"}


def test_containers_are_lent_what_stores_compute_logs_unless_those_stay_on_the_host() -> None:
    assert variables("beta")["code_server_launcher"] == {"digest": "def", "archive": "/tmp/r.tar"}  # noqa: S108
    assert variables("alpha")["code_server_launcher"] is None
    local = fleet_with(locations=LOCATIONS, compute_logs="compute_logs: {store: local}")
    assert variables("beta", local)["code_server_launcher"] is None


def test_text_that_looks_like_a_template_is_not_one() -> None:
    (etl,) = variables("beta")["code_server_locations"]
    assert not isinstance(etl["environment"]["PLAIN"], SecretTemplate)
    assert isinstance(etl["secret_environment"]["PASSWORD"], SecretTemplate)


def test_a_process_gets_its_release() -> None:
    (reporting,) = variables("delta")["process_location_locations"]
    assert reporting["arguments"] == ["-f", "reporting.py", "-d", "/srv", "--location-name", "reporting"]
    assert (reporting["digest"], reporting["archive"]) == ("abc", "/tmp/r.tar")  # noqa: S108


def test_every_database_has_a_user_of_its_own_name() -> None:
    fleet = fleet_with(postgres="postgres: {databases: {warehouse: {password: secret://warehouse}}}")
    alpha = variables("alpha", fleet)
    assert [(one["name"], one["user"]) for one in alpha["postgres_databases"]] == [
        ("dagster", "dagster"),
        ("warehouse", "warehouse"),
    ]
    assert alpha["postgres_max_connections"] >= 2 * alpha["postgres_pool_size"]
    assert "postgres_databases" not in variables("beta", fleet)


def test_two_hundred_runs_on_four_hosts_have_a_pool_and_postgresql_takes_all_pools_at_once() -> None:
    fleet = fleet_with(
        queue="queue: {max_concurrent_runs: 200}",
        postgres="postgres: {databases: {warehouse: {password: secret://warehouse}}}",
    )
    alpha = variables("alpha", fleet)
    assert len(fleet.hosts) == 4
    # A run holds a session for the time of one call; `make bench-mesh` has 200 of them share such a pool.
    assert alpha["postgres_pool_size"] == 200
    assert alpha["postgres_max_connections"] > 2 * alpha["postgres_pool_size"]


def test_the_control_plane_and_every_location_ask_the_same_name_for_the_database() -> None:
    alpha, beta, delta = variables("alpha"), variables("beta"), variables("delta")
    # dagster.yaml names it once; its hosts only say which way it is from there.
    assert "db.mesh" in alpha["control_plane_dagster_yaml"]
    assert alpha["control_plane_extra_hosts"]["db.mesh"] == "172.31.251.1"
    assert beta["code_server_extra_hosts"]["db.mesh"] == "172.31.250.1"
    assert delta["base_hosts_entries"] == [{"address": "127.0.0.1", "names": ["db.mesh"]}]
    passwords = {
        str(alpha["control_plane_database_password"]),
        str(beta["code_server_database_password"]),
        str(delta["process_location_database_password"]),
    }
    assert passwords == {"{{ lookup('dagfleet_secret', 'postgres_password') }}"}


def test_an_external_database_reaches_every_process_of_dagster_as_a_secret() -> None:
    fleet = fleet_with(locations=LOCATIONS, postgres=EXTERNAL)
    alpha, beta, delta = (variables(host, fleet) for host in ("alpha", "beta", "delta"))
    url = {"DAGFLEET_POSTGRES_URL": "{{ lookup('dagfleet_secret', 'warehouse') }}"}
    assert alpha["control_plane_secret_environment"] == url
    assert beta["code_server_locations"][0]["secret_environment"].items() >= url.items()
    assert delta["process_location_locations"][0]["secret_environment"] == url
    assert alpha["postgres_databases"] == []
    assert beta["mesh_database_egress"] == []
    assert beta["code_server_extra_hosts"] == {}
    assert alpha["control_plane_extra_hosts"] == {"gateway.mesh": "172.31.251.1"}


@pytest.mark.parametrize(("images", "pulls"), [("pull", True), ("push", False)])
def test_hosts_pull_unless_images_are_pushed(images: str, pulls: bool) -> None:
    fleet = fleet_with(docker=f"docker: {{images: {images}}}")
    assert variables("beta", fleet)["code_server_pull"] is pulls
    assert variables("alpha", fleet)["control_plane_pull"] is False


def test_no_secret_is_resolved_only_named() -> None:
    found = {str(value) for value in secret_values(variables("alpha"))}
    assert found == {
        "{{ lookup('dagfleet_secret', 'postgres_password') }}",
        "{{ lookup('dagfleet_secret', 'web_users', logins=true) }}",
    }


def test_a_hosts_hash_changes_with_its_own_configuration_only() -> None:
    other = fleet_with(locations=LOCATIONS.replace("etl:1", "etl:2"))
    assert _hash("gamma", other) != _hash("gamma")
    assert _hash("delta", other) == _hash("delta")


def test_a_hosts_hash_does_not_depend_on_the_operators_machine() -> None:
    elsewhere = variables("delta", archive="/home/ann/r.tar")["base_record"]
    assert elsewhere == variables("delta")["base_record"]


def _hash(host: str, fleet: Fleet | None = None) -> str:
    return str(variables(host, fleet)["base_record"]["config_hash"])


WEB = "control: {host: alpha, web: {hostname: dagster.example.com, users: secret://web_users, %s}}"


def test_a_given_certificate_is_shown_and_the_fleets_own_proves_the_web_ui_to_its_operator() -> None:
    given = fleet_with(
        control=WEB % "certificate: secret://web_certificate",
        secrets="secrets: {web_users: {env: U}, warehouse: {env: W}, web_certificate: {file: web.pem}}",
    )
    alpha = variables("alpha", given)
    assert alpha["mesh_web"]["certificate"] == "/etc/dagfleet/pki/web-given.pem"
    assert isinstance(alpha["mesh_web_certificate"], SecretTemplate)
    (own,) = [leaf for leaf in alpha["mesh_certificates"] if leaf["name"] == "web"]
    assert (own["common_name"], own["dns_names"]) == ("web.dagfleet", ["web.dagfleet"])


def test_an_acme_clients_certificate_is_read_where_it_keeps_it_and_its_challenges_come_in() -> None:
    path = "/etc/letsencrypt/live/dagster/haproxy.pem"
    alpha, beta = (
        variables(host, fleet_with(control=WEB % f"certificate: {path}, acme_port: 8402"))
        for host in ("alpha", "beta")
    )
    assert (alpha["mesh_web"]["certificate"], alpha["mesh_web_certificate"]) == (path, "")
    assert [opened["port"] for opened in alpha["base_open_ports"]] == [80]
    assert beta["base_open_ports"] == []


def test_dockerd_serves_its_own_api_where_fleet_yml_says_so() -> None:
    tls = fleet_with(docker="docker: {access: tls}")
    assert variables("beta", tls)["docker_tls"] == {"port": 2376, "directory": "/etc/dagfleet/pki"}
    assert variables("beta", tls)["mesh_docker_port"] is None
    assert variables("delta", tls)["docker_tls"] is None
    assert variables("beta")["docker_tls"] is None


def test_a_hosts_containers_find_what_it_offers_them_and_no_more() -> None:
    run = {"source": "172.31.250.0/24", "address": "172.31.250.1", "ports": [6432]}
    alpha = variables("alpha")
    assert variables("beta")["base_container_doors"] == [run]
    assert alpha["base_container_doors"][0] == run
    assert alpha["base_container_doors"][1]["ports"][:2] == [6432, 31080]
    assert (alpha["base_web_port"], variables("beta")["base_web_port"]) == (443, None)


STANDBY = {
    "control": "control: {host: alpha, standby: beta, web: {hostname: d.example.com, users: secret://web_users}}",
    "backup": 'backup: {schedule: "03:15"}',
    "locations": LOCATIONS,
}


def test_hosts_know_the_standby_before_it_is_needed() -> None:
    fleet = fleet_with(**STANDBY)
    there = {"host": "beta", "address": "10.0.1.2", "port": 4443}
    for host in ("beta", "gamma", "delta"):
        assert variables(host, fleet)["mesh_database_server"]["host"] == "alpha"
        assert variables(host, fleet)["mesh_database_standby"] == there
    assert variables("alpha", fleet)["mesh_database_standby"] is None
    assert variables("gamma", fleet)["base_fleet_addresses"] == ["10.0.1.1", "10.0.1.2"]
    assert variables("gamma", fleet)["base_docker_client_addresses"] == ["10.0.1.1", "10.0.1.2"]
    assert groups(fleet)["standby"] == ["beta"]


def test_the_standby_lets_every_host_in_to_a_database_that_is_shut() -> None:
    beta = variables("beta", fleet_with(**STANDBY))
    assert beta["mesh_database_identities"] == ["alpha", "beta", "gamma", "delta"]
    assert beta["base_fleet_addresses"] == ["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4"]
    assert beta["postgres_open"] is False
    assert beta["mesh_web"] is None
    assert "control_plane_image" not in beta


def test_the_control_host_asks_its_standby_and_lets_it_alone_fetch_backups() -> None:
    fleet = fleet_with(**STANDBY)
    alpha, beta = variables("alpha", fleet), variables("beta", fleet)
    assert alpha["postgres_open"] is True
    assert alpha["postgres_successor"]["host"] == "beta"
    assert alpha["mesh_backup_identities"] == ["beta"]
    assert (alpha["backup_schedule"], alpha["backup_served"], alpha["backup_source"]) == ("03:15", True, None)
    assert (beta["backup_schedule"], beta["backup_served"]) == (None, False)
    assert beta["backup_source"] == {"host": "alpha", "address": "10.0.1.1", "port": 4443}


def test_after_a_failover_the_new_control_host_is_one_like_any_other() -> None:
    after = fleet_with(**{**STANDBY, "control": STANDBY["control"].replace("alpha, standby: ", "")})
    beta = variables("beta", after)
    assert (beta["postgres_open"], beta["postgres_successor"], beta["backup_source"]) == (True, None, None)
    assert beta["mesh_web"]["port"] == 443
    assert variables("gamma", after)["mesh_database_standby"] is None
