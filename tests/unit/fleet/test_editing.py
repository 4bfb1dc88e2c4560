"""Hosts come into the file and leave it, and nothing else in it moves."""

import difflib

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.fleet import parse_fleet
from dagfleet.fleet.editing import with_control, with_host, with_image, with_values, without_host

BLOCK = """\
# The fleet of the weather team.
---
version: 1
name: prod
dagster: {version: "1.13.27"}
control:
  host: alpha
  web: {hostname: dagster.example.com, users: secret://web_users}
hosts:
  # The control plane.
  alpha: {address: 10.0.1.1, ssh: &ssh {user: ops}}
  beta:
    address: 10.0.1.2     # rack 4
    ssh: *ssh
  gamma: {address: 10.0.1.3, ssh: *ssh}   # rack 5

# What runs.
locations:
  etl:
    hosts:
      - beta
      - gamma  # since May
    image: etl:1
    module: etl.defs
  ml: {hosts: [gamma, beta], image: "ml:1", module: ml.defs}
secrets: {web_users: {generated: {users: [demo]}}}
"""
FLOW = """\
version: 1
name: prod
dagster: {version: "1.13.27"}
control: {host: alpha, web: {hostname: dagster.example.com, users: secret://web_users}}
hosts: {alpha: {address: 10.0.1.1}, beta: {address: 10.0.1.2}, gamma: {address: 10.0.1.3}}
locations: {etl: {hosts: [beta, gamma], image: "etl:1", module: etl.defs}}
secrets: {web_users: {generated: {users: [demo]}}}
"""


def changed(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[0] in "+-" and line[:3] not in {"+++", "---"}]


def test_a_host_and_its_locations_are_added_as_lines_of_their_own() -> None:
    values = {"address": "10.0.1.5", "max_runs": 20, "labels": {"rack": "12"}}
    after = with_host(BLOCK, "epsilon", values, locations=["etl", "ml"])
    assert changed(BLOCK, after) == [
        "+  epsilon: {address: 10.0.1.5, max_runs: 20, labels: {rack: '12'}}",
        "+      - epsilon",
        '-  ml: {hosts: [gamma, beta], image: "ml:1", module: ml.defs}',
        '+  ml: {hosts: [gamma, beta, epsilon], image: "ml:1", module: ml.defs}',
    ]
    fleet = parse_fleet(after, name="fleet.yml")
    assert fleet.hosts["epsilon"].max_runs == 20
    assert list(fleet.locations["etl"].hosts) == ["beta", "gamma", "epsilon"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "gamma",
            [
                "-  gamma: {address: 10.0.1.3, ssh: *ssh}   # rack 5",
                "-      - gamma  # since May",
                '-  ml: {hosts: [gamma, beta], image: "ml:1", module: ml.defs}',
                '+  ml: {hosts: [beta], image: "ml:1", module: ml.defs}',
            ],
        ),
        (
            "beta",
            [
                "-  beta:",
                "-    address: 10.0.1.2     # rack 4",
                "-    ssh: *ssh",
                "-      - beta",
                '-  ml: {hosts: [gamma, beta], image: "ml:1", module: ml.defs}',
                '+  ml: {hosts: [gamma], image: "ml:1", module: ml.defs}',
            ],
        ),
    ],
)
def test_a_host_leaves_with_its_own_lines_and_its_places_in_pools(name: str, lines: list[str]) -> None:
    after = without_host(BLOCK, name)
    assert changed(BLOCK, after) == lines
    assert name not in parse_fleet(after, name="fleet.yml").hosts


@pytest.mark.parametrize("text", [BLOCK, FLOW])
@pytest.mark.parametrize("name", ["epsilon", "a-very-long-name-of-a-host"])
def test_who_comes_and_leaves_again_leaves_no_trace(text: str, name: str) -> None:
    came = with_host(text, name, {"address": "10.0.1.9"}, locations=["etl"])
    assert name in parse_fleet(came, name="fleet.yml").hosts
    assert without_host(came, name) == text


def test_an_end_without_a_newline_is_no_trap() -> None:
    text = BLOCK.partition("\n# What runs")[0].rstrip().removesuffix("   # rack 5")
    assert with_host(text, "epsilon", {"address": "10.0.1.5"}).endswith(
        "  gamma: {address: 10.0.1.3, ssh: *ssh}\n  epsilon: {address: 10.0.1.5}\n"
    )


def test_a_host_whose_lines_others_refer_to_is_left_to_its_owner() -> None:
    text = BLOCK.replace("ssh: &ssh {user: ops}", "ssh: {user: ops}").replace(
        "    ssh: *ssh", "    ssh: &ssh {user: ops}"
    )
    with pytest.raises(ConfigurationError) as refused:
        without_host(text, "beta")
    assert "cannot take host beta out by itself" in refused.value.message
    assert "&anchor" in str(refused.value.fix)


@pytest.mark.parametrize(
    ("text", "location", "after"),
    [
        (BLOCK, "etl", "    image: registry.example.com:5000/etl:2"),
        (
            BLOCK,
            "ml",
            "  ml: {hosts: [gamma, beta], image: registry.example.com:5000/etl:2, module: ml.defs}",
        ),
        (
            FLOW,
            "etl",
            FLOW.splitlines()[-2].replace('"etl:1"', "registry.example.com:5000/etl:2"),
        ),
    ],
)
def test_another_image_changes_that_one_value(text: str, location: str, after: str) -> None:
    new = with_image(text, location, "registry.example.com:5000/etl:2")
    assert [line for line in changed(text, new) if line.startswith("+")] == [f"+{after}"]


def test_an_image_that_two_locations_share_by_an_anchor_is_left_to_its_owner() -> None:
    text = BLOCK.replace("image: etl:1", "image: &image etl:1").replace('image: "ml:1"', "image: *image")
    with pytest.raises(ConfigurationError, match="give ml another image by itself"):
        with_image(text, "ml", "ml:2")


def test_the_standby_becomes_the_control_host_and_comments_stay() -> None:
    before = BLOCK.replace(
        "  host: alpha\n",
        "  host: alpha  # rack 1\n  # In the other building.\n  standby: beta\n  replication: streaming\n",
    )
    assert changed(before, with_control(before, "beta")) == [
        "-  host: alpha  # rack 1",
        "+  host: beta  # rack 1",
        "-  standby: beta",
        "-  replication: streaming",
    ]


def test_it_does_where_all_stands_in_one_line() -> None:
    before = FLOW.replace("host: alpha, ", "host: alpha, standby: beta, replication: backup, ")
    assert changed(before, with_control(before, "beta")) == [
        "-control: {host: alpha, standby: beta, replication: backup, web: {hostname: dagster.example.com, "
        "users: secret://web_users}}",
        "+control: {host: beta, web: {hostname: dagster.example.com, users: secret://web_users}}",
    ]


def test_a_control_host_behind_an_alias_is_not_guessed_at() -> None:
    before = BLOCK.replace("host: alpha", "host: &one alpha").replace("- beta", "- *one")
    with pytest.raises(ConfigurationError, match="cannot make beta the control host by itself"):
        with_control(before, "beta")


@pytest.mark.parametrize("text", [BLOCK, FLOW], ids=["block", "flow"])
def test_another_dagster_changes_its_value_and_those_named_with_it(text: str) -> None:
    after = with_values(text, {("dagster", "version"): "1.12.22", ("locations", "etl", "image"): "etl:2"})
    lines = changed(text, after)
    assert [line for line in lines if "1.12.22" in line] == ['+dagster: {version: "1.12.22"}']
    assert len(lines) == 4
    assert parse_fleet(after, name="fleet.yml").locations["etl"].image == "etl:2"


def test_a_version_without_quotes_gets_none() -> None:
    text = BLOCK.replace('{version: "1.13.27"}', "\n  version: 1.13.27  # the newest")
    after = with_values(text, {("dagster", "version"): "1.12.22"})
    assert changed(text, after) == [
        "-  version: 1.13.27  # the newest", "+  version: 1.12.22  # the newest"
    ]  # fmt: skip
