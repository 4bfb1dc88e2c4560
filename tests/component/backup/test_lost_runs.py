"""Runs that were in flight when a backup was made get an end once it is restored."""

import dagster as dg
from dagfleet.control.lost_runs import end_lost_runs

from tests.component.backup.conftest import Host


def test_no_restored_run_stays_in_flight_and_each_says_why(source: Host, empty: Host) -> None:
    made = source.well("create")["name"]
    source.send_to(empty, made)
    empty.well("restore", made)
    with empty.instance() as instance:
        before = {run.run_id: run.status.value for run in instance.get_runs()}

        assert end_lost_runs(instance) == {"failed": 2, "canceled": 2}

        ended = {before[run.run_id]: run for run in instance.get_runs() if before[run.run_id] != "SUCCESS"}
        assert {was: run.status.value for was, run in ended.items()} == {
            "STARTING": "FAILURE",
            "STARTED": "FAILURE",
            "QUEUED": "CANCELED",
            "CANCELING": "CANCELED",
        }
        for run in ended.values():
            said = [entry.message for entry in instance.all_logs(run.run_id)]
            assert any("was restored from a backup" in text for text in said), said
        done = [status for status in before.values() if status == "SUCCESS"]
        assert len(done) == len(
            [run for run in instance.get_runs() if run.status is dg.DagsterRunStatus.SUCCESS]
        )

        assert end_lost_runs(instance) == {"failed": 0, "canceled": 0}
