"""Which hops a fleet has, and which of them is to blame."""

from dagfleet.doctor.examination import Answer, Examined, examined
from dagfleet.doctor.flows import flows
from dagfleet.fleet import parse_fleet

from tests.unit.phases.conftest import FLEET

WELL = Answer(ok=True, fact="it answers")


def fleet_flows() -> dict[str, Examined]:
    found = flows(parse_fleet(FLEET, name="fleet.yml"))
    answers = {hop.key: WELL for flow in found for hop in flow.hops}
    return {each.flow.title: each for each in examined(found, answers)}


def with_broken(title: str, *hops: str) -> dict[str, Examined]:
    found = flows(parse_fleet(FLEET, name="fleet.yml"))
    answers = {
        hop.key: WELL if hop.title not in hops else Answer(ok=False, fact="refused")
        for flow in found
        for hop in flow.hops
    }
    assert title in [flow.title for flow in found]
    return {each.flow.title: each for each in examined(found, answers)}


def test_each_location_on_each_host_each_docker_and_each_way_to_the_database_is_a_flow() -> None:
    assert list(fleet_flows()) == [
        "web", "etl on beta", "reporting on delta", "docker on alpha", "docker on beta",
        "database", "database from beta", "database from delta",
    ]  # fmt: skip


def test_a_fleet_in_which_all_answers_are_good_is_well() -> None:
    assert all(each.well and each.culprit is None for each in fleet_flows().values())


def test_the_first_broken_hop_is_the_culprit_and_the_ones_behind_it_are_not() -> None:
    found = with_broken("etl on beta", "code server etl", "mesh beta -> etl")
    culprit = found["etl on beta"].culprit
    assert culprit
    assert culprit.title == "code server etl"
    assert culprit.mend.startswith("start it on beta: docker start dagfleet-location-etl")
    assert found["reporting on delta"].well


def test_one_broken_mesh_stops_every_flow_through_it() -> None:
    found = with_broken("etl on beta", "mesh on beta")
    stopped = [title for title, each in found.items() if each.culprit]
    assert stopped == ["etl on beta", "docker on beta", "database from beta"]


def test_a_hop_that_could_not_be_asked_blames_nobody_but_is_not_well() -> None:
    asked = flows(parse_fleet(FLEET, name="fleet.yml"))
    found = {each.flow.title: each for each in examined(asked, {})}
    assert not found["web"].well
    assert found["web"].culprit is None


def test_a_question_that_flows_share_is_asked_once() -> None:
    hops = [hop for flow in flows(parse_fleet(FLEET, name="fleet.yml")) for hop in flow.hops]
    assert len({hop.key for hop in hops}) < len(hops)


def test_a_standby_is_a_flow_of_its_own() -> None:
    text = FLEET.replace("host: alpha, ", "host: alpha, standby: beta, replication: streaming, ")
    (standby,) = [
        flow for flow in flows(parse_fleet(text, name="fleet.yml")) if flow.title.startswith("standby")
    ]
    assert standby.broken.startswith("beta does not keep up")
    assert [(hop.host, hop.question.get("name")) for hop in standby.hops] == [
        ("alpha", "dagfleet-backups.socket"),
        ("beta", "alpha"),
        ("beta", "dagfleet-follow.timer"),
        ("beta", "postgresql@*-dagfleet.service"),
        ("alpha", "dagfleet-fence.service"),
    ]


def test_each_host_with_docker_pulls_from_the_fleets_registry_by_its_own_flow() -> None:
    text = FLEET.replace("secrets: {", "registry: {users: secret://web_users}\nsecrets: {")
    images = [flow for flow in flows(parse_fleet(text, name="fleet.yml")) if flow.title.startswith("images")]
    assert [flow.title for flow in images] == ["images on alpha", "images on beta"]
    asked = images[1].hops[-1]
    assert asked.host == "beta"
    assert asked.title == "mesh beta -> dagster.example.com:5000"
    assert (asked.question["address"], asked.question["name"]) == ("dagster.example.com",) * 2
    assert asked.question["certificate"] == "/etc/dagfleet/pki/mesh-client.pem"
    assert images[0].hops[1].key == images[1].hops[1].key
