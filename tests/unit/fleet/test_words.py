"""Single mistakes, in words that a user knows."""

import pytest

from tests.unit.fleet.texts import fleet_text, location, problems_of, problems_with


def test_the_small_fleet_is_correct() -> None:
    assert problems_of(fleet_text()) == {}


@pytest.mark.parametrize(
    ("section", "key", "fact"),
    [
        ("nmae: x", "nmae", 'unknown key; did you mean "name"?'),
        ("pki: {leaf_days: ninety}", "pki.leaf_days", "must be a whole number; this is text"),
        ("pki: {leaf_days: '90'}", "pki.leaf_days", "must be a whole number; take the quotes off"),
        ("pki: {leaf_days: 0}", "pki.leaf_days", "must be 1 or more, not 0"),
        ("pki: {leaf_days: 9000}", "pki.leaf_days", "must be 825 or less, not 9000"),
        ("pki: 90", "pki", "must be a mapping with leaf_days, ca_years, passphrase; this is a number"),
        ("pki:", "pki", "is empty; write a mapping with leaf_days, ca_years, passphrase"),
        ("docker: {images: send}", "docker.images", "must be pull or push; this is text"),
        (
            "firewall: {operators: 10.0.0.7}",
            "firewall.operators",
            "must be a list, such as [10.0.0.7]; this is text",
        ),
        (
            "firewall: {operators: [10.0.0.7/8]}",
            "firewall.operators",
            '"10.0.0.7/8" is no address or network; write 10.0.1.2, 10.0.1.0/24 or fd00:1::/64',
        ),
        (
            "firewall: {open: [{port: 2376}]}",
            "firewall.open.port",
            "2376 is Dagfleet's own; firewall.operators opens it",
        ),
        (
            "docker: {access: vpn}",
            "docker.access",
            "must be mesh or tls or ssh; this is text",
        ),
        (
            "queue: {max_runs: 3}",
            "queue.max_runs",
            "unknown key; known here are max_concurrent_runs, dequeue_interval_seconds, admission, "
            "fair_sharing",
        ),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(section: str, key: str, fact: str) -> None:
    assert problems_with(extra=section) == {key: fact}


def test_a_key_in_the_wrong_place_is_sent_to_the_right_one() -> None:
    assert problems_with(locations=location(concurrent_runs="3")) == {
        "locations.etl.concurrent_runs": 'unknown key; it belongs under "limits"'
    }


def test_a_missing_key_says_what_it_is_for() -> None:
    assert problems_with(name=None) == {
        "name": "missing; name of the fleet, in certificates and on every host, such as prod"
    }


def test_a_number_as_a_hosts_name_needs_quotes() -> None:
    hosts = "hosts: {alpha: {address: 10.0.1.1}, 7: {address: 10.0.1.7}}"
    assert problems_with(hosts=hosts, locations=None) == {"hosts.7": "names are text; put it in quotes"}


def test_a_password_in_the_wrong_place_is_not_repeated() -> None:
    told = problems_with(
        control="control: {host: alpha, web: {hostname: a.example.com, users: hunter2}}",
        postgres="postgres: {databases: {warehouse: hunter2}}",
        secrets="secrets: {warehouse: hunter2}",
    )
    assert set(told) == {"control.web.users", "postgres.databases.warehouse", "secrets.warehouse"}
    assert "hunter2" not in str(told)


@pytest.mark.parametrize("value", ["3", "true", "1.5"])
def test_an_environment_value_that_is_no_text_needs_quotes(value: str) -> None:
    assert problems_with(locations=location(env=f"{{LEVEL: {value}}}")) == {
        "locations.etl.env.LEVEL": f'environment variables are text; write "{value}" in quotes'
    }


@pytest.mark.parametrize("dagster", ["1.13.28", "1.12.0"])
def test_a_dagster_without_a_lock_is_refused_with_what_is_supported(dagster: str) -> None:
    assert problems_with(dagster=f'dagster: {{version: "{dagster}"}}') == {
        "dagster.version": f'this Dagfleet sets up Dagster "1.12.22" or "1.13.27", not "{dagster}"; '
        'write "1.12.22" or "1.13.27"'
    }


@pytest.mark.parametrize(
    ("image", "fact"),
    [
        ("etl:latest", '"etl:latest" can change under you; pin a tag or a digest'),
        ("registry:5000/etl", '"registry:5000/etl" has no tag, so it means latest; pin a tag or a digest'),
        ("ETL:1", '"ETL:1" is not an image; write one such as registry.example.com/etl:1.4.2'),
    ],
)
def test_an_image_must_be_pinned(image: str, fact: str) -> None:
    assert problems_with(locations=location(image=f'"{image}"')) == {"locations.etl.image": fact}
    assert problems_with(images=f'images: {{base: "{image}"}}') == {"images.base": fact}


@pytest.mark.parametrize("image", ["etl:1", "registry:5000/a/etl:1.4.2", f"etl@sha256:{'a' * 64}"])
def test_a_tag_or_a_digest_pins_an_image(image: str) -> None:
    assert problems_with(locations=location(image=f'"{image}"')) == {}
