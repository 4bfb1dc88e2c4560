from dataclasses import replace

import pytest
from dagfleet.derive.ports import location_port
from dagfleet.fleet.model import Fleet
from dagfleet.probe.findings import Finding, Level, examine
from dagfleet.probe.report import Disk, HostReport, Privilege

from tests.unit.fleet.texts import fleet_with
from tests.unit.probe.reports import engine, listener, report

GIB = 1024**3
RECORD = {"release": "0.1.0"}


def found(fleet: Fleet, host: str = "beta", **changes: object) -> list[Finding]:
    addresses = changes.pop("addresses", (fleet.hosts[host].address,))
    return examine(fleet, {host: report(addresses=addresses, **changes)})[host]


def only(fleet: Fleet, host: str = "beta", **changes: object) -> Finding:
    (finding,) = found(fleet, host, **changes)
    return finding


def test_a_healthy_host_has_no_findings(fleet: Fleet) -> None:
    assert found(fleet) == []


@pytest.mark.parametrize(
    ("distribution", "version"),
    [("debian", "12"), ("debian", "13"), ("ubuntu", "22.04"), ("ubuntu", "24.04")],
)
def test_supported_distributions_pass(fleet: Fleet, distribution: str, version: str) -> None:
    assert found(fleet, distribution=distribution, version=version) == []


def test_a_release_whose_haproxy_does_not_read_the_mesh_s_configuration_is_refused_before_an_apply_finds_out(
    fleet: Fleet,
) -> None:
    finding = only(fleet, distribution="debian", version="11", pretty_name="Debian 11")
    assert finding.level is Level.FIX
    assert finding.mend == "use Debian 12 or 13, Ubuntu 22.04 or 24.04"


def with_python(fleet: Fleet, python: str) -> Fleet:
    delta = fleet.hosts["delta"].model_copy(update={"python": python})
    return fleet.model_copy(update={"hosts": {**fleet.hosts, "delta": delta}})


def test_a_location_that_runs_as_a_process_needs_the_python_that_its_wheels_are_for(fleet: Fleet) -> None:
    finding = only(fleet, "delta", python="3.13")
    assert finding.level is Level.FIX
    assert finding.fact == "python3 is 3.13, the wheels of reporting are for 3.11"
    assert finding.mend == 'set hosts.delta.python: "3.13" in fleet.yml'
    assert found(with_python(fleet, "3.13"), "delta", python="3.13") == []
    assert "for 3.13" in only(with_python(fleet, "3.13"), "delta", python="3.11").fact


@pytest.mark.parametrize(
    ("distribution", "version", "will_be"), [("debian", "13", "3.13"), ("ubuntu", "24.04", "3.12")]
)
def test_where_there_is_no_python_yet_the_distribution_says_which_it_will_be(
    fleet: Fleet, distribution: str, version: str, will_be: str
) -> None:
    told = {"distribution": distribution, "version": version, "commands": frozenset({"sudo", "apt-get"})}
    facts = [finding.fact for finding in found(fleet, "delta", **told)]
    assert facts[0] == f"python3 is {will_be}, the wheels of reporting are for 3.11"
    assert len(found(with_python(fleet, will_be), "delta", **told)) == 1


def test_a_python_older_than_a_process_needs_is_refused(fleet: Fleet) -> None:
    finding = only(fleet, "delta", distribution="ubuntu", version="22.04", python="3.10")
    assert finding.level is Level.FIX
    assert finding.fact == "python3 is 3.10, as a process reporting needs one of 3.11, 3.12, 3.13"
    assert "let delta run Docker" in (finding.mend or "")


def test_a_host_with_docker_may_have_any_python(fleet: Fleet) -> None:
    assert found(fleet, "beta", python="3.9") == []


def test_other_distributions_are_refused_by_name(fleet: Fleet) -> None:
    finding = only(fleet, distribution="alpine", version="3.20", pretty_name="Alpine Linux v3.20")
    assert finding.level is Level.FIX
    assert finding.fact == "Alpine Linux v3.20 is not supported"


def test_a_strange_processor_is_refused(fleet: Fleet) -> None:
    assert only(fleet, architecture="riscv64").fact == "architecture riscv64 is not supported"


def test_a_host_without_systemd_is_refused(fleet: Fleet) -> None:
    assert only(fleet, init="tini").fact == "process 1 is tini, not systemd"


def test_sudo_that_asks_is_to_be_fixed(fleet: Fleet) -> None:
    finding = only(fleet, privilege=Privilege.PASSWORD)
    assert finding.fact == "sudo asks ops for a password"
    assert "NOPASSWD" in (finding.mend or "")


def test_a_missing_python_will_be_installed(fleet: Fleet) -> None:
    finding = only(fleet, commands=frozenset({"sudo", "apt-get"}))
    assert (finding.level, finding.fact) == (Level.NOTE, "python3 will be installed for Ansible")


def test_a_taken_port_names_its_holder_and_the_key_that_moves_it(fleet: Fleet) -> None:
    finding = only(fleet, listeners=(listener(4443, "nginx"),))
    assert finding.fact == "port 4443 is taken by nginx (pid 812), the mesh needs it"
    assert finding.mend == "stop nginx (pid 812), or set hosts.beta.mesh.port in fleet.yml"


def test_our_own_proxy_may_hold_the_port(fleet: Fleet) -> None:
    assert found(fleet, listeners=(listener(4443, "haproxy"),), record=RECORD) == []


def test_a_foreign_proxy_may_not(fleet: Fleet) -> None:
    assert only(fleet, listeners=(listener(2376, "haproxy"),)).level is Level.FIX


def test_a_service_that_the_firewall_shuts_is_named_before_it_is(fleet: Fleet) -> None:
    node = listener(9100, process="node_exporter", address="*")
    finding = only(fleet, listeners=(node,))
    assert (finding.level, finding.fact) == (
        Level.WARN, "port 9100 of node_exporter is shut to other machines",
    )  # fmt: skip
    for firewall in ({"open": [{"port": 9100}]}, {"others": "accept"}):
        told = Fleet.model_validate(fleet.model_dump(mode="json") | {"firewall": firewall})
        assert found(told, listeners=(node,)) == []


def test_what_only_loopback_or_docker_offers_is_no_news(fleet: Fleet) -> None:
    inside = listener(9100, process="node_exporter", address="127.0.0.1")
    published = listener(8080, process="docker-proxy", address="*")
    assert found(fleet, listeners=(inside, published, listener(22, process="sshd", address="*"))) == []


def test_a_stale_code_server_on_a_locations_port_is_found(fleet: Fleet) -> None:
    port = location_port(fleet, "etl")
    stale = listener(port, "dagster", address="127.0.0.1")
    finding = only(fleet, listeners=(stale,), record=RECORD)
    assert finding.fact == f"port {port} is taken by dagster (pid 812), location etl needs it"


def test_a_login_that_cannot_see_owners_blames_nobody(fleet: Fleet) -> None:
    unseen = replace(listener(4443, "haproxy"), process=None, pid=None)
    assert (
        only(fleet, listeners=(unseen,), privilege=Privilege.PASSWORD).fact == "sudo asks ops for a password"
    )


def test_a_locations_own_container_holds_its_port(fleet: Fleet) -> None:
    port = location_port(fleet, "etl")
    ours = engine(containers={"dagfleet-location-etl": (port,)})
    theirs = engine(containers={"etl-by-hand": (port,)})
    docker_proxy = listener(port, "docker-proxy", address="127.0.0.1")
    assert found(fleet, listeners=(docker_proxy,), engine=ours) == []
    assert only(fleet, listeners=(docker_proxy,), engine=theirs).level is Level.FIX


def test_a_locations_own_unit_holds_its_port(fleet: Fleet) -> None:
    own = listener(
        location_port(fleet, "reporting"),
        "python3",
        address="127.0.0.1",
        unit="dagfleet-location-reporting@green.service",
    )
    assert found(fleet, "delta", listeners=(own,)) == []


def test_a_loopback_need_and_another_address_do_not_collide(fleet: Fleet) -> None:
    elsewhere = listener(6432, "pgpool", address="10.0.1.4")
    assert found(fleet, "delta", listeners=(elsewhere,)) == []


def test_foreign_docker_settings_are_kept_and_named(fleet: Fleet) -> None:
    finding = only(fleet, daemon_json='{"mtu": 1400, "live-restore": true, "data-root": "/srv"}')
    assert (finding.level, finding.fact) == (Level.NOTE, "Docker keeps its own settings: data-root, mtu")


def test_settings_that_are_not_json_are_to_be_fixed(fleet: Fleet) -> None:
    assert only(fleet, daemon_json="{mtu: 1400}").fact.startswith("/etc/docker/daemon.json is not JSON")


def test_an_old_engine_is_to_be_fixed(fleet: Fleet) -> None:
    assert only(fleet, engine=engine(version="19.03.15")).fact == "Docker 19.03.15 is too old"


def test_two_engines_are_to_be_fixed(fleet: Fleet) -> None:
    finding = only(fleet, packages={"docker.io": "20.10", "docker-ce": "24"})
    assert finding.fact == "docker.io and docker-ce are installed together"


def test_dockers_state_does_not_matter_where_no_docker_is_wanted(fleet: Fleet) -> None:
    assert found(fleet, "delta", daemon_json="broken", engine=engine(version="19.03")) == []


def test_little_disk_warns_and_none_is_to_be_fixed(fleet: Fleet) -> None:
    little = only(fleet, disk=Disk(mount="/", total=9 * GIB, free=3 * GIB, inodes_free=None))
    none = only(fleet, disk=Disk(mount="/", total=9 * GIB, free=GIB // 2, inodes_free=None))
    assert (little.level, little.fact) == (Level.WARN, "3 GiB free on /")
    assert (none.level, none.fact) == (Level.FIX, "512 MiB free on /")


def test_running_out_of_inodes_is_found(fleet: Fleet) -> None:
    assert only(fleet, disk=Disk(mount="/", total=9 * GIB, free=9 * GIB, inodes_free=900)).level is Level.FIX


def test_the_control_host_needs_more_memory_than_the_others(fleet: Fleet) -> None:
    assert only(fleet, "alpha", memory=GIB).level is Level.WARN
    assert found(fleet, "beta", memory=GIB) == []


def test_an_address_the_host_does_not_have_is_pointed_out(fleet: Fleet) -> None:
    finding = only(fleet, addresses=("127.0.0.1", "192.168.0.7"))
    assert finding.fact == "10.0.1.2 is none of its own addresses (192.168.0.7)"


def three(**odd: object) -> dict[str, HostReport]:
    return {
        "alpha": report(hostname="alpha", machine_id="a", addresses=("10.0.1.1",)),
        "beta": report(hostname="beta", machine_id="b", addresses=("10.0.1.2",)),
        "delta": report(**{"hostname": "delta", "machine_id": "d", "addresses": ("10.0.1.4",), **odd}),
    }


def test_the_clock_that_differs_from_the_median_is_found(fleet: Fleet) -> None:
    findings = examine(fleet, three(clock_offset=-90.0))
    assert [(finding.level, finding.fact) for finding in findings["delta"]] == [
        (Level.FIX, "the clock is 90 s behind")
    ]
    assert findings["alpha"] == []


def test_a_wrong_clock_on_the_operators_machine_is_nobodys_fault(fleet: Fleet) -> None:
    reports = {
        name: report(clock_offset=500.0, hostname=name, machine_id=name, addresses=(host.address,))
        for name, host in fleet.hosts.items()
    }
    assert examine(fleet, reports) == {"alpha": [], "beta": [], "delta": []}


def test_copies_of_a_machine_are_found(fleet: Fleet) -> None:
    findings = examine(fleet, three(machine_id="b", hostname="beta"))
    assert [finding.fact for finding in findings["delta"]] == [
        "has the same machine-id as beta (b)",
        "has the same host name as beta (beta)",
    ]


def test_the_gravest_finding_comes_first(fleet: Fleet) -> None:
    levels = [finding.level for finding in found(fleet, daemon_json='{"mtu": 1}', init="tini", memory=1)]
    assert levels == [Level.FIX, Level.WARN, Level.NOTE]


def test_what_a_standby_will_need_is_free_before_it_takes_over() -> None:
    fleet = fleet_with(
        control="control: {host: alpha, standby: beta, web: {hostname: d.example.com, users: secret://web_users}}",
        backup='backup: {schedule: "03:15"}',
    )
    finding = only(fleet, listeners=(listener(443, "nginx"),))
    assert finding.fact.startswith("port 443 is taken by nginx")
    assert not any("443" in each.fact for each in found(fleet, "gamma", listeners=(listener(3000, "node"),)))
