"""Which certificates a fleet has, and for whom."""

from dagfleet.derive import CertificateSpec, certificates

from tests.unit.fleet.texts import fleet_with

CONTROL = """
control:
  host: alpha
  web:
    hostname: dagster.example.com
    users: secret://web_users
    extra_names: [127.0.0.1, localhost]
"""


def names(host: str | None) -> list[str]:
    return [spec.name for spec in certificates(fleet_with()) if spec.host == host]


def test_each_kind_of_host_has_its_own_set() -> None:
    assert names("alpha") == ["docker-server", "mesh-server", "mesh-client", "gateway", "launcher", "web"]
    assert names("beta") == ["docker-server", "mesh-server", "mesh-client"]
    assert names("delta") == ["mesh-server", "mesh-client"]
    assert names(None) == ["reader", "operator-launcher"]


def test_a_server_is_known_by_name_and_address() -> None:
    (spec,) = (one for one in certificates(fleet_with()) if (one.host, one.name) == ("beta", "docker-server"))
    assert spec == CertificateSpec(
        name="docker-server",
        host="beta",
        authority="docker",
        common_name="beta",
        dns_names=("beta",),
        ip_addresses=("10.0.1.2",),
        usage="server",
    )


def test_the_web_certificate_has_every_name_that_people_type() -> None:
    (web,) = (spec for spec in certificates(fleet_with(control=CONTROL)) if spec.name == "web")
    assert web.common_name == "dagster.example.com"
    assert web.dns_names == ("dagster.example.com", "localhost")
    assert web.ip_addresses == ("127.0.0.1", "10.0.1.1")


def test_only_the_docker_authority_signs_who_is_root_on_hosts() -> None:
    docker = {spec.common_name for spec in certificates(fleet_with()) if spec.authority == "docker"}
    clients = {
        spec.common_name
        for spec in certificates(fleet_with())
        if spec.authority == "docker" and spec.usage == "client"
    }
    assert docker == {"alpha", "beta", "gamma", "launcher", "reader"}
    assert clients == {"launcher", "reader"}


def test_a_changed_address_changes_its_own_servers_only() -> None:
    hosts = """
        hosts:
          alpha: {address: 10.0.1.1}
          beta: {address: 10.0.1.22}
          gamma: {address: 10.0.1.3}
          delta: {address: 10.0.1.4, docker: none}
        """
    changed = set(certificates(fleet_with(hosts=hosts))) - set(certificates(fleet_with()))
    assert {(spec.host, spec.name) for spec in changed} == {
        ("beta", "docker-server"),
        ("beta", "mesh-server"),
    }


def test_the_standby_has_the_control_hosts_identities_as_leaves_of_its_own() -> None:
    fleet = fleet_with(
        control="control: {host: alpha, standby: beta, web: {hostname: d.example.com, users: secret://web_users}}",
        backup='backup: {schedule: "03:15"}',
    )
    of = {
        host: {leaf.name: leaf for leaf in certificates(fleet) if leaf.host == host}
        for host in ("alpha", "beta")
    }
    for name in ("gateway", "launcher", "web"):
        assert of["alpha"][name].common_name == of["beta"][name].common_name
    assert of["beta"]["web"].dns_names == of["alpha"]["web"].dns_names
    assert of["beta"]["web"].ip_addresses == ("10.0.1.2",)
