"""What is done with a Dagster instance in the older environment or ours: python instance.py COMMAND HOME."""

import json
import sys

import dagster as dg

HOW_MANY_READ = 25


@dg.op
def measure() -> int:
    return 1


@dg.job(tags={"team": "weather"})
def measuring() -> None:
    measure()


def work(instance: dg.DagsterInstance) -> str:
    """Make a run that the bulk is copied from."""
    return measuring.execute_in_process(instance=instance).run_id


def read(instance: dg.DagsterInstance) -> dict[str, object]:
    """Read runs as the web server does: how many, and some of them with all that is known of them."""
    page = instance.get_runs(limit=HOW_MANY_READ)
    return {
        "dagster": dg.__version__,
        "runs": instance.get_runs_count(),
        "tagged": instance.get_runs_count(dg.RunsFilter(tags={"team": "weather"})),
        "statuses": sorted({run.status.value for run in page}),
        "events": len(instance.all_logs(page[0].run_id)),
    }


if __name__ == "__main__":
    command, home = sys.argv[1:]
    with dg.DagsterInstance.from_config(home) as opened:
        print(json.dumps({"work": work, "read": read}[command](opened)))
