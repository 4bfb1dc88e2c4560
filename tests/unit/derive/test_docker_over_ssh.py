"""docker.access: ssh, as every host and the launcher are told of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from dagfleet.derive import Artifacts, LauncherPackage, ProcessRelease, host_vars
from dagfleet.derive.certificates import certificates
from dagfleet.doctor.flows import flows
from dagfleet.fleet import Fleet

from tests.unit.fleet.texts import fleet_with

SSH = "docker: {access: ssh}"
PORTS = """
hosts:
  alpha: {address: 10.0.1.1}
  beta: {address: 10.0.1.2, ssh: {port: 2222}}
  gamma: {address: 10.0.1.3}
  delta: {address: 10.0.1.4, docker: none}
"""


def variables(host: str, fleet: Fleet) -> dict[str, Any]:
    release = ProcessRelease(digest="abc", archive=Path("r.tar"))
    built = Artifacts(
        control_image="dagfleet/control-plane:1",
        launcher=LauncherPackage(digest="def", archive=Path("l.tar")),
        process_releases={"reporting": release},
    )
    return host_vars(fleet, host, built)


def launcher_hosts(fleet: Fleet) -> list[dict[str, Any]]:
    instance = yaml.safe_load(variables("alpha", fleet)["control_plane_dagster_yaml"])
    hosts: list[dict[str, Any]] = instance["run_launcher"]["config"]["docker_hosts"]
    return hosts


def test_the_launcher_logs_in_where_sshd_listens_and_shows_no_certificate() -> None:
    beta, gamma = launcher_hosts(fleet_with(hosts=PORTS, docker=SSH))
    assert beta["docker_url"] == "ssh://dagfleet-docker@10.0.1.2:2222"
    assert gamma["docker_url"] == "ssh://dagfleet-docker@10.0.1.3:22"
    assert "tls" not in beta


def test_hosts_let_the_launcher_in_from_the_control_host_alone() -> None:
    fleet = fleet_with(hosts=PORTS, docker=SSH)
    assert variables("beta", fleet)["docker_ssh"] == {
        "launcher": "alpha",
        "sources": ["10.0.1.1"],
        "address": "10.0.1.2",
        "port": 2222,
    }
    # Its own Docker the control host's containers reach without leaving the host.
    assert variables("alpha", fleet)["docker_ssh"]["sources"] == ["10.0.1.1", "172.31.251.0/24"]
    assert variables("delta", fleet)["docker_ssh"] is None
    holders = [host for host in fleet.hosts if variables(host, fleet)["docker_ssh_holds_key"]]
    assert holders == ["alpha"]


def test_no_port_is_opened_or_served_for_docker() -> None:
    beta = variables("beta", fleet_with(docker=SSH))
    assert beta["base_docker_port"] is None
    assert beta["mesh_docker_port"] is None
    assert beta["docker_tls"] is None


def test_ssh_from_chosen_networks_only_still_lets_the_launcher_in() -> None:
    fleet = fleet_with(docker=SSH, firewall="firewall: {ssh: [192.0.2.0/24]}")
    assert variables("beta", fleet)["base_ssh_sources"] == ["192.0.2.0/24", "10.0.1.1"]
    assert variables("alpha", fleet)["base_ssh_sources"] == ["192.0.2.0/24", "10.0.1.1", "172.31.251.0/24"]
    assert variables("delta", fleet)["base_ssh_sources"] == ["192.0.2.0/24"]
    assert variables("beta", fleet_with(docker=SSH))["base_ssh_sources"] == []


def test_nothing_of_the_docker_authority_is_issued() -> None:
    assert {spec.authority for spec in certificates(fleet_with(docker=SSH))} == {"mesh"}


def test_the_containers_have_the_key_and_no_certificate() -> None:
    over_ssh, over_mesh = variables("alpha", fleet_with(docker=SSH)), variables("alpha", fleet_with())
    assert over_ssh["control_plane_identity"] == []
    assert over_ssh["control_plane_ssh"] == "/etc/dagfleet/docker-ssh"
    assert over_mesh["control_plane_identity"] == ["docker-ca.crt", "launcher.pem", "launcher.pem.key"]
    assert over_mesh["control_plane_ssh"] is None


@pytest.mark.parametrize("access", ["mesh", "tls"])
def test_other_accesses_know_nothing_of_it(access: str) -> None:
    fleet = fleet_with(docker=f"docker: {{access: {access}}}")
    for host in fleet.hosts:
        assert variables(host, fleet)["docker_ssh"] is None
        assert not variables(host, fleet)["docker_ssh_holds_key"]


def test_doctor_walks_the_way_that_the_launcher_goes() -> None:
    [beta] = [flow for flow in flows(fleet_with(hosts=PORTS, docker=SSH)) if flow.title == "docker on beta"]
    last = beta.hops[-1]
    assert last.title == "launcher alpha -> beta:2222 by SSH"
    assert last.host == "alpha"
    assert dict(last.question) == {
        "kind": "docker-ssh",
        "address": "10.0.1.2",
        "port": 2222,
        "account": "dagfleet-docker",
        "files": "/etc/dagfleet/docker-ssh",
    }
    assert not any("haproxy" in str(hop.question) for hop in beta.hops)
