"""What may not begin: anything in the middle of an upgrade, another Dagster, a change nobody agreed to."""

from dataclasses import replace

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.fleet import FleetFile
from dagfleet.fleet.breaking import latest
from dagfleet.phases import admitting
from dagfleet.phases.admitting import Admit, Unchanged, Undisturbed, refuse_unready
from dagfleet.phases.journal import Journal
from dagfleet.phases.work import Work
from dagfleet.probe.history import Release, parsed

JOURNAL = Journal(
    old="1.12.22", new="1.13.27", step="migrate", by="ops@laptop", at="2026-11-22T03:15:00+00:00"
)
LAST = Release(
    number=1, at=JOURNAL.at, by="ops@laptop", command="dagfleet apply", version="0.1.0", config="", seconds=1,
    dagster="1.13.27", breaking=latest(),
)  # fmt: skip


@pytest.fixture(autouse=True)
def control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admitting, "standing", lambda _control: JOURNAL)
    monkeypatch.setattr(admitting, "releases", lambda _control: [LAST])


@pytest.mark.parametrize("phase", [Admit(), Undisturbed()])
def test_apply_and_deploy_wait_for_an_upgrade_to_be_finished(work: Work, phase: Admit | Undisturbed) -> None:
    with pytest.raises(ConfigurationError, match='at step "migrate"') as told:
        phase.run(work)
    assert told.value.fix == "finish it first: dagfleet upgrade 1.13.27"


def test_an_upgrade_goes_on_only_from_what_it_has_read(work: Work) -> None:
    Unchanged(JOURNAL).run(work)
    for known in (None, replace(JOURNAL, step="stop")):
        with pytest.raises(ConfigurationError, match="somebody else has gone on with the upgrade of prod"):
            Unchanged(known).run(work)


def test_an_apply_does_not_change_the_version_of_dagster(fleet_file: FleetFile) -> None:
    refuse_unready(fleet_file.fleet, [])
    refuse_unready(fleet_file.fleet, [LAST])
    refuse_unready(fleet_file.fleet, [replace(LAST, dagster="")])
    with pytest.raises(
        ConfigurationError, match=r"prod runs Dagster 1\.12\.22, and fleet\.yml says 1\.13\.27"
    ) as told:
        refuse_unready(fleet_file.fleet, [replace(LAST, dagster="1.12.22")])
    assert told.value.fix == 'write version: "1.12.22" there again, then dagfleet upgrade 1.13.27'


def test_a_restore_may_bring_another_dagster_but_no_change_that_nobody_agreed_to(
    fleet_file: FleetFile,
) -> None:
    last = replace(LAST, dagster="1.12.22")
    refuse_unready(fleet_file.fleet, [last], any_dagster=True)
    with pytest.raises(ConfigurationError, match="changes what prod was applied with before"):
        refuse_unready(fleet_file.fleet, [replace(last, breaking=0)], any_dagster=True)


def test_a_release_of_before_changes_were_numbered_knows_none_of_them(fleet_file: FleetFile) -> None:
    line = LAST.as_line().replace(f', "breaking": {latest()}', "")
    [old] = parsed(line)
    with pytest.raises(ConfigurationError, match="changes what prod was applied with before"):
        refuse_unready(fleet_file.fleet, [old])
