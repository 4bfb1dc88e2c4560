"""Which versions of Dagster a fleet may go to, and which packages belong together."""

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.fleet.tested import TESTED, libraries_of, misfit, mixed, refuse_upgrade
from dagfleet.fleet.versions import dagster_versions
from dagfleet.image.locks import control_plane_lock
from dagfleet.image.process import pins


def test_every_tested_set_has_a_lock_and_every_lock_is_a_tested_set() -> None:
    assert set(dagster_versions()) == set(TESTED)
    for version, libraries in TESTED.items():
        locked = pins(control_plane_lock(version).read_text())
        assert locked["dagster"] == version
        assert locked["dagster-postgres"] == locked["dagster-docker"] == libraries == libraries_of(version)
        assert mixed(locked) is None


def test_the_fleets_dagster_binds_what_is_resolved_for_it() -> None:
    for version in TESTED:
        constraints = pins(control_plane_lock(version).with_suffix(".in").read_text())
        assert (constraints["dagster"], constraints["dagster-postgres"]) == (version, TESTED[version])


def test_what_pip_does_when_a_library_is_missing_is_a_mixed_set() -> None:
    told = mixed({"dagster": "1.13.28", "dagster-postgres": "0.11.14"})
    assert (
        told == "dagster-postgres 0.11.14 beside dagster 1.13.28, whose release has dagster-postgres 0.29.28"
    )
    assert mixed({"dagster": "1.13.27", "dagster-webserver": "1.12.22"}) is not None
    assert mixed({"dagster-postgres": "0.11.14"}) is None, "without Dagster nothing is mixed"


@pytest.mark.parametrize(
    ("packages", "why"),
    [
        ({"dagster": "1.13.27", "dagster-postgres": "0.29.27"}, None),
        ({"dagster": "1.13.5", "dagster-postgres": "0.29.5"}, None),
        ({"dagster": "1.12.22", "dagster-postgres": "0.28.22"}, "it has Dagster 1.12.22"),
        ({"dagster": "1.13.27", "dagster-docker": "0.28.22"}, "it has dagster-docker 0.28.22 beside"),
        ({}, "it has no Dagster"),
    ],
)
def test_code_fits_a_fleet_of_the_same_minor_release(packages: dict[str, str], why: str | None) -> None:
    told = misfit(packages, "1.13.27")
    assert told == why if why is None else (told or "").startswith(why)


def test_the_shipped_upgrade_may_begin() -> None:
    refuse_upgrade("prod", "1.12.22", "1.13.27")


@pytest.mark.parametrize(
    ("to", "message", "fix"),
    [
        ("1.12.22", "prod runs Dagster 1.13.27, and Dagster's tables cannot go back to 1.12.22", "backup"),
        ("1.9.0", "cannot go back to 1.9.0", "backup"),
        ("banana", "Dagster banana was never tested with this Dagfleet", "the newest tested is 1.13.27"),
        ("1.13.28", "Dagster 1.13.28 was never tested with this Dagfleet", "the newest tested is 1.13.27"),
    ],
)
def test_older_and_untested_versions_are_refused(to: str, message: str, fix: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as told:
        refuse_upgrade("prod", "1.13.27", to)
    assert fix in (told.value.fix or "")


def test_the_refusal_names_what_could_be_had_instead() -> None:
    with pytest.raises(ConfigurationError) as told:
        refuse_upgrade("prod", "1.12.22", "1.13.1", tested=("1.9.1", "1.12.22", "1.13.9", "1.13.10"))
    assert told.value.fix == "tested and newer than 1.12.22: 1.13.9, 1.13.10"
