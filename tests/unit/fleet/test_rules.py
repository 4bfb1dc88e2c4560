"""Rules between keys."""

import pytest

from tests.unit.fleet.texts import fleet_with, location, problems_with

WEB = "web: {hostname: dagster.example.com, users: secret://web_users}"


def test_the_control_host_must_be_a_host() -> None:
    assert problems_with(control=f"control: {{host: alfa, {WEB}}}") == {
        "control.host": 'no host is named "alfa"; did you mean "alpha"?'
    }


def test_there_is_one_control_host() -> None:
    told = problems_with(control=f"control: {{host: [alpha, beta], {WEB}}}")
    assert told == {"control.host": "must be text, such as alpha; this is a list"}


def test_the_control_host_needs_docker() -> None:
    assert "needs Docker" in problems_with(control=f"control: {{host: delta, {WEB}}}")["control.host"]


def test_two_hosts_cannot_have_one_address() -> None:
    hosts = "hosts: {alpha: {address: 10.0.1.1}, beta: {address: 10.0.1.1}}"
    assert problems_with(hosts=hosts, locations=None) == {
        "hosts.beta.address": '10.0.1.1 is the address of "alpha" already'
    }


@pytest.mark.parametrize("address", ["10.0.1", "alpha.example.com", "127.0.0.1", "::1", "0.0.0.0"])  # noqa: S104
def test_an_address_is_one_that_other_hosts_can_reach(address: str) -> None:
    told = problems_with(hosts=f"hosts: {{alpha: {{address: '{address}'}}}}", locations=None)
    assert list(told) == ["hosts.alpha.address"]


@pytest.mark.parametrize(
    "name", ["gateway", "launcher", "reader", "web", "db", "localhost", "control", "all"]
)
def test_names_of_identities_and_groups_are_not_for_hosts(name: str) -> None:
    told = problems_with(
        hosts=f"hosts: {{alpha: {{address: 10.0.1.1}}, {name}: {{address: 10.0.1.2}}}}", locations=None
    )
    assert told == {
        f"hosts.{name}": f'"{name}" is a name that Dagfleet uses itself; call the host something else'
    }


def test_admin_is_not_for_locations() -> None:
    told = problems_with(locations=location().replace("etl:", "admin:", 1))
    assert "Dagfleet adds itself" in told["locations.admin"]


@pytest.mark.parametrize("name", ["Etl", "etl_1", "1etl", "e" * 32])
def test_names_are_short_and_lower_case(name: str) -> None:
    assert f"locations.{name}" in problems_with(locations=location().replace("etl:", f"{name}:", 1))


def test_a_location_names_known_hosts_once() -> None:
    assert problems_with(locations=location(hosts="[gama]")) == {
        "locations.etl.hosts": 'no host is named "gama"; did you mean "gamma"?'
    }
    assert problems_with(locations=location(hosts="[beta, beta]")) == {
        "locations.etl.hosts": '"beta" is named twice; keep one'
    }


def test_a_location_needs_a_host() -> None:
    assert problems_with(locations=location(hosts="[]"))["locations.etl.hosts"].startswith("is empty; ")


def test_a_pool_has_one_kind_of_hosts() -> None:
    told = problems_with(locations=location(hosts="[beta, delta]"))
    assert told == {
        "locations.etl.hosts": "mixes hosts with Docker and without (delta); use one kind, or two locations"
    }


def test_a_host_without_docker_takes_requirements_and_no_image() -> None:
    assert problems_with(locations=location(hosts="[delta]")) == {
        "locations.etl.image": '"delta" has docker: none and runs no image; write requirements: [./etl]'
    }
    assert (
        "requirements: [./etl]"
        in problems_with(locations=location(hosts="[delta]", image=""))["locations.etl"]
    )


def test_a_host_with_docker_takes_an_image_and_no_requirements() -> None:
    assert problems_with(locations=location(requirements="[./etl]")) == {
        "locations.etl.requirements": "hosts with Docker install nothing; put the packages into the image"
    }
    assert "name an image" in problems_with(locations=location(image=""))["locations.etl"]


def test_requirements_are_paths_beside_the_file() -> None:
    told = problems_with(locations=location(hosts="[delta]", image="", requirements="[pandas]"))
    assert told == {
        "locations.etl.requirements": '"pandas" is not a path beside fleet.yml; write one such as ./reporting'
    }


def test_a_location_says_once_where_its_definitions_are() -> None:
    assert problems_with(locations=location(module="")) == {
        "locations.etl": "does not say where its definitions are; write module: etl.defs"
    }
    assert problems_with(locations=location(python_file="defs.py")) == {
        "locations.etl.python_file": "module is there too; keep one of them"
    }
    assert problems_with(locations=location(module="", python_file="defs.py")) == {}


def test_a_limit_of_nothing_is_refused() -> None:
    assert problems_with(locations=location(limits="{concurrent_runs: 0}")) == {
        "locations.etl.limits.concurrent_runs": "must be 1 or more, not 0"
    }


def test_max_runs_counts_containers_only() -> None:
    hosts = "hosts: {alpha: {address: 10.0.1.1}, delta: {address: 10.0.1.4, docker: none, max_runs: 3}}"
    assert "docker: none" in problems_with(hosts=hosts, locations=None)["hosts.delta.max_runs"]


def test_python_is_said_of_hosts_without_docker_only() -> None:
    hosts = 'hosts: {alpha: {address: 10.0.1.1, python: "3.13"}}'
    assert problems_with(hosts=hosts, locations=None) == {
        "hosts.alpha.python": "is for bare processes, but this host runs Docker, whose images bring their "
        "own; take it out"
    }


def test_a_pool_of_processes_has_one_python() -> None:
    hosts = """
        hosts:
          alpha: {address: 10.0.1.1}
          delta: {address: 10.0.1.4, docker: none}
          epsilon: {address: 10.0.1.5, docker: none, python: "3.13"}
          zeta: {address: 10.0.1.6, docker: none, python: "3.11"}
        """
    pool = {"image": "", "requirements": "[./etl]"}
    assert problems_with(hosts=hosts, locations=location(hosts="[delta, epsilon]", **pool)) == {
        "locations.etl.hosts": "mixes hosts with Python 3.11 and 3.13; use one, or two locations"
    }
    assert problems_with(hosts=hosts, locations=location(hosts="[delta, zeta]", **pool)) == {}


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("3.13", 'is a number to YAML; write it in quotes, such as "3.13"'),
        ('"3.10"', "must be 3.11 or 3.12 or 3.13; this is text"),
        ('"3.13.5"', "must be 3.11 or 3.12 or 3.13; this is text"),
    ],
)
def test_python_is_a_release_that_processes_can_use(python: str, said: str) -> None:
    delta = f"{{address: 10.0.1.4, docker: none, python: {python}}}"
    hosts = f"hosts: {{alpha: {{address: 10.0.1.1}}, delta: {delta}}}"
    assert problems_with(hosts=hosts, locations=None) == {"hosts.delta.python": said}


def test_docker_networks_are_apart_and_away_from_hosts() -> None:
    assert problems_with(docker="docker: {run_subnet: 172.31.251.0/25}") == {
        "docker.run_subnet": "172.31.251.0/25 overlaps the other Docker network; choose another"
    }
    told = problems_with(docker="docker: {run_subnet: 10.0.1.0/30}")
    assert "16 addresses or more" in told["docker.run_subnet"]
    told = problems_with(docker="docker: {run_subnet: 10.0.1.0/24}")
    assert told["hosts.alpha.address"] == "10.0.1.1 lies in docker.run_subnet (10.0.1.0/24); choose another"


def test_two_services_of_a_host_cannot_share_a_port() -> None:
    hosts = (
        "hosts: {alpha: {address: 10.0.1.1, docker_port: 443}, beta: {address: 10.0.1.2, mesh: {port: 22}}}"
    )
    assert problems_with(hosts=hosts, locations=None) == {
        "control.web.port": "port 443 is used by hosts.alpha.docker_port on alpha; choose another",
        "hosts.beta.mesh.port": "port 22 is used by hosts.beta.ssh.port on beta; choose another",
    }


def test_ports_of_locations_stay_free() -> None:
    hosts = "hosts: {alpha: {address: 10.0.1.1, mesh: {port: 20000}}}"
    told = problems_with(hosts=hosts, locations=None)
    assert told == {
        "hosts.alpha.mesh.port": "port 20000 may be given to a location (20000 to 32767); choose another"
    }


def test_external_postgres_needs_a_url_and_no_databases() -> None:
    told = problems_with(
        postgres="postgres: {mode: external, databases: {warehouse: {password: secret://warehouse}}}"
    )
    assert told == {
        "postgres": "mode external needs url: secret://NAME",
        "postgres.databases": "Dagfleet makes databases in mode managed only; take this out",
    }
    assert "mode: external" in problems_with(postgres="postgres: {url: secret://warehouse}")["postgres.url"]


def test_rules_speak_up_beside_mistakes_of_form() -> None:
    told = problems_with(
        locations="locations: {etl: {hosts: [gama], image: 3, module: a}}",
        hosts="hosts: {alpha: {address: 10.0.1.1}, beta: {address: 10.0.1.1, max_runs: some}}",
    )
    assert set(told) == {
        "hosts.beta.address",
        "hosts.beta.max_runs",
        "locations.etl.hosts",
        "locations.etl.image",
    }


def test_a_fleet_needs_no_location() -> None:
    assert fleet_with(locations=None).locations == {}
