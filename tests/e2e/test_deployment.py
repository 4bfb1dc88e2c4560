"""What a deployed fleet does for its users."""

import json
import re
import subprocess
import time
from collections.abc import Sequence

import pytest
from dagfleet.control.plane import FINAL, JobSelector, RunState

from tests.e2e.deployed import DeployedFleet

RUN_SECONDS = 180

EVENTS = """
query Events($runId: ID!) {
  logsForRun(runId: $runId) {
    ... on EventConnection { events { ... on ExecutionStepFailureEvent { error { message } } } }
  }
}
"""

CAPTURED = """
query Captured($runId: ID!) {
  logsForRun(runId: $runId) {
    ... on EventConnection { events { ... on LogsCapturedEvent { fileKey } } }
  }
}
"""

PRINTED = """
query Printed($logKey: [String!]!) { capturedLogs(logKey: $logKey) { stdout stderr } }
"""

STATUSES = """
query Statuses($ids: [String!]) {
  runsOrError(filter: {runIds: $ids}) { ... on Runs { results { runId status } } }
}
"""


def launch(fleet: DeployedFleet, location: str, job: str, *partitions: str) -> list[str]:
    """Launch a job once, or once for each partition; return the runs' ids."""
    with fleet.plane() as plane:
        selector = JobSelector(location=location, job=job)
        return [plane.launch(selector, partition=partition) for partition in partitions or (None,)]


def finished(fleet: DeployedFleet, run_ids: Sequence[str]) -> dict[str, RunState]:
    with fleet.plane() as plane:
        runs = {run_id: plane.finished(run_id, timeout=RUN_SECONDS) for run_id in run_ids}
    assert all(run.finished for run in runs.values()), f"unfinished after {RUN_SECONDS} s: {runs}"
    return runs


def printed(fleet: DeployedFleet, run_id: str) -> tuple[str, str]:
    """Return what the web UI shows of a run's stdout and stderr."""
    with fleet.session() as session:
        events = session.query(CAPTURED, {"runId": run_id})["logsForRun"]["events"]
        keys = [[run_id, "compute_logs", event["fileKey"]] for event in events if event.get("fileKey")]
        shown = [session.query(PRINTED, {"logKey": key})["capturedLogs"] for key in keys]
    assert shown, "no step captured anything"
    return "".join(log["stdout"] or "" for log in shown), "".join(log["stderr"] or "" for log in shown)


@pytest.fixture(scope="module")
def etl_runs(fleet: DeployedFleet) -> dict[str, RunState]:
    months = [f"2012-{month:02d}-01" for month in range(1, 7)]
    return finished(fleet, launch(fleet, "etl", "daily_weather", *months))


def test_runs_of_a_pool_succeed_on_both_its_hosts_each_in_its_own_container(
    fleet: DeployedFleet, etl_runs: dict[str, RunState]
) -> None:
    assert {run.status for run in etl_runs.values()} == {"SUCCESS"}
    by_host = {}
    for host in ("beta", "gamma"):
        for container in fleet.containers(host, "dagster/managed"):
            by_host[container["Config"]["Labels"]["dagster/run_id"]] = (host, container["Id"])
    assert set(etl_runs) <= set(by_host)
    assert {by_host[run_id][0] for run_id in etl_runs} == {"beta", "gamma"}
    assert len({by_host[run_id][1] for run_id in etl_runs}) == len(etl_runs)
    for run_id, run in etl_runs.items():
        assert run.tags["multihost_docker/host_name"] == by_host[run_id][0]


def test_every_run_is_tagged_with_its_location_and_the_user_who_logged_in(
    fleet: DeployedFleet, etl_runs: dict[str, RunState]
) -> None:
    user, _ = fleet.password()
    for run in etl_runs.values():
        assert run.tags["code_location"] == "etl"
        assert user in run.tags.values()


def test_an_unmapped_location_runs_as_a_process_on_its_host(
    fleet: DeployedFleet, etl_runs: dict[str, RunState]
) -> None:
    assert etl_runs
    [(run_id, run)] = finished(fleet, launch(fleet, "reporting", "airport_report")).items()
    assert run.status == "SUCCESS", run
    assert run.tags["multihost_docker/launcher_type"] == "default"
    assert not [c for host in ("beta", "gamma") for c in fleet.containers(host, f"dagster/run_id={run_id}")]
    assert run_id in fleet.sh("delta", "journalctl -u 'dagfleet-location-reporting@*' --no-pager")
    out, err = printed(fleet, run_id)
    assert "airports" in out
    assert "airports_by_state" in err


def test_what_steps_print_in_containers_of_every_host_is_in_the_web_ui(
    fleet: DeployedFleet, etl_runs: dict[str, RunState]
) -> None:
    hosts = set()
    for run_id, run in etl_runs.items():
        out, err = printed(fleet, run_id)
        assert "°C" in out
        assert "days of" in err
        hosts.add(run.tags["multihost_docker/host_name"])
    assert hosts == {"beta", "gamma"}
    script = "import dagster_multihost_launcher as found; print(found.__file__)"
    code_server = "docker exec dagfleet-location-etl /run/dagfleet/with-secrets"
    assert fleet.sh("beta", f"{code_server} python -c '{script}'").startswith("/run/dagfleet/launcher.whl/")


def test_a_job_that_fails_on_purpose_ends_as_failure_and_says_why(fleet: DeployedFleet) -> None:
    [(run_id, run)] = finished(fleet, launch(fleet, "etl", "broken_on_purpose")).items()
    assert run.status == "FAILURE"
    with fleet.session() as session:
        events = json.dumps(session.query(EVENTS, {"runId": run_id}))
    assert "on purpose" in events


def test_a_limit_on_a_location_holds(fleet: DeployedFleet) -> None:
    ids = launch(fleet, "etl", "daily_weather", *(f"2013-{month:02d}-01" for month in range(1, 9)))
    most, deadline = 0, time.monotonic() + RUN_SECONDS
    with fleet.session() as session:
        while True:
            # In one question: between two the queue puts another run into the place of one that has ended.
            found = session.query(STATUSES, {"ids": ids})["runsOrError"]["results"]
            statuses = [run["status"] for run in found]
            most = max(most, sum(status in {"STARTING", "STARTED"} for status in statuses))
            if len(statuses) == len(ids) and set(statuses) <= FINAL:
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert set(statuses) == {"SUCCESS"}
    assert 1 < most <= 4


def test_the_partitions_are_in_the_warehouse(fleet: DeployedFleet, etl_runs: dict[str, RunState]) -> None:
    assert etl_runs
    tables = fleet.sh(
        "alpha",
        "runuser -u postgres -- psql -Atd warehouse -c "
        '"select relname, n_live_tup from pg_stat_user_tables where n_live_tup > 0"',
    )
    assert tables.strip(), "no table of the warehouse has a row"


def test_loading_the_instance_connects_to_no_docker_host(fleet: DeployedFleet) -> None:
    """Only the database is asked; building the launcher and the coordinator opens no connection."""
    script = (
        "import json, sys, socket\n"
        "seen = []\n"
        "sys.addaudithook(lambda e, a: seen.append(str(a[1])) if e == 'socket.connect' else None)\n"
        "from dagster import DagsterInstance\n"
        "instance = DagsterInstance.get()\n"
        "names = [type(x).__name__ for x in (instance.run_launcher, instance.run_coordinator)]\n"
        "print(json.dumps([*names, seen]))\n"
    )
    output = fleet.sh("alpha", f"docker exec dagfleet-daemon python -c \"$(cat <<'E'\n{script}E\n)\"")
    launcher, coordinator, connections = json.loads(output.strip().splitlines()[-1])
    assert (launcher, coordinator) == ("MultiHostDockerRunLauncher", "CLTQueuedRunCoordinator")
    assert connections == []


def test_no_secret_is_in_docker_inspect_or_a_process_list(
    fleet: DeployedFleet, etl_runs: dict[str, RunState]
) -> None:
    assert etl_runs
    folder = fleet.operator.state / "secrets"
    values = [
        line.rpartition(":")[2]
        for file in folder.iterdir()
        for line in file.read_text().split()
        if len(line) > 7
    ]
    assert values
    for host in ("alpha", "beta", "gamma", "delta"):
        seen = fleet.sh(host, "ps -eo args")
        if host != "delta":
            seen += json.dumps(fleet.containers(host))
        assert not [value[:4] for value in values if value in seen], host


def test_a_second_apply_changes_no_task(fleet: DeployedFleet) -> None:
    planned = fleet.operator.run("plan")
    assert planned.code == 0, planned.output + planned.errors
    second = fleet.operator.run("apply", "-y")
    assert second.code == 0, second.output + second.errors
    for host in fleet.ADDRESSES:
        assert f"{host} " in second.output
    assert " changed" in second.output
    changed = [line for line in second.output.splitlines() if " changed" in line and " 0 changed" not in line]
    assert not changed, second.output


def test_a_hand_on_a_host_is_seen_and_taken_back_and_no_other_host_is_visited(fleet: DeployedFleet) -> None:
    fleet.sh("beta", "chmod 0600 /etc/haproxy/haproxy.cfg && systemctl stop haproxy")
    planned = fleet.operator.run("plan")
    assert planned.code == 2, planned.output + planned.errors
    assert "beta   ~ mesh" in planned.output
    healed = fleet.operator.run("apply", "-y")
    assert healed.code == 0, healed.output + healed.errors
    assert (
        fleet.sh("beta", "systemctl is-active haproxy; stat -c %a /etc/haproxy/haproxy.cfg")
        == "active\n644\n"
    )
    passed_over = re.findall(r"(\w+) +as the last apply left it", healed.output)
    assert passed_over == ["alpha", "gamma", "delta"]


def test_the_playbooks_alone_reach_the_same_state_without_the_command_line(fleet: DeployedFleet) -> None:
    environment = fleet.operator.command.parent
    [bundle] = (environment.parent / "lib").glob("python3*/site-packages/dagfleet/_bundle")
    done = subprocess.run(
        [str(environment / "ansible-playbook"), "-i", ".", str(bundle / "playbooks" / "site.yml")],
        cwd=fleet.operator.folder,
        env=fleet.operator.environment(ANSIBLE_CONFIG=str(bundle / "ansible.cfg"), ANSIBLE_NOCOLOR="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    recap = dict(re.findall(r"(?m)^(\w+) .*\bchanged=(\d+)", done.stdout))
    assert recap == dict.fromkeys(fleet.ADDRESSES, "0"), done.stdout[-3000:]


def test_plan_tells_a_pending_change_by_its_exit_code_and_touches_nothing(fleet: DeployedFleet) -> None:
    file = fleet.operator.folder / "fleet.yml"
    original = file.read_text()
    before = fleet.sh(
        "alpha", "docker ps --format '{{.ID}}'; sha256sum /var/lib/dagfleet/dagster_home/*.yaml"
    )
    file.write_text(original.replace("concurrent_runs: 4", "concurrent_runs: 5"))
    try:
        planned = fleet.operator.run("plan")
    finally:
        file.write_text(original)
    assert planned.code == 2, planned.output + planned.errors
    assert "alpha" in planned.output
    after = fleet.sh("alpha", "docker ps --format '{{.ID}}'; sha256sum /var/lib/dagfleet/dagster_home/*.yaml")
    assert after == before


def test_foreign_docker_settings_are_kept(fleet: DeployedFleet) -> None:
    settings = json.loads(fleet.sh("gamma", "cat /etc/docker/daemon.json"))
    assert settings["shutdown-timeout"] == 7
    assert settings["live-restore"] is True


def test_status_and_check_answer_in_json(fleet: DeployedFleet) -> None:
    for command in ("status", "check"):
        answer = fleet.operator.run(command, "--json")
        assert answer.code == 0, answer.output + answer.errors
        assert set(fleet.ADDRESSES) <= set(json.dumps(answer.json).replace('"', " ").split())


def test_logs_of_a_pool_a_process_the_daemon_and_a_run_are_one_command_away(
    fleet: DeployedFleet, etl_runs: dict[str, RunState]
) -> None:
    run_id = next(iter(etl_runs))
    for what, said in (
        ("etl", "beta   "), ("reporting", "code server"), ("daemon", "dagster"), (run_id, "daily_weather"),
    ):  # fmt: skip
        printed = fleet.operator.run("logs", what, "--lines", "500")
        assert printed.code == 0, printed.output + printed.errors
        assert said in printed.output, what


def test_a_paused_host_takes_no_run_and_the_queue_says_who_paused(fleet: DeployedFleet) -> None:
    paused = fleet.operator.run("queue", "pause", "host", "beta", "--reason", "new disks")
    assert paused.code == 0, paused.output + paused.errors
    try:
        runs = finished(fleet, launch(fleet, "etl", "daily_weather", "2014-01-01", "2014-02-01"))
        listed = fleet.operator.run("queue", "list", "--json")
    finally:
        resumed = fleet.operator.run("queue", "resume", "host", "beta")
    assert {run.status for run in runs.values()} == {"SUCCESS"}
    assert {run.tags["multihost_docker/host_name"] for run in runs.values()} == {"gamma"}
    assert listed.code == 0, listed.output + listed.errors
    assert "new disks" in listed.output
    assert resumed.code == 0, resumed.output + resumed.errors


def test_doctor_names_the_broken_hop_and_its_mend(fleet: DeployedFleet) -> None:
    well = fleet.operator.run("doctor")
    assert well.code == 0, well.output + well.errors
    fleet.sh("gamma", "docker stop --time 1 dagfleet-location-etl")
    try:
        sick = fleet.operator.run("doctor")
    finally:
        fleet.sh("gamma", "docker start dagfleet-location-etl")
    assert sick.code == 1, sick.output + sick.errors
    assert "etl cannot be reached on gamma." in sick.output
    assert re.search(r"code server etl +broken +exited", sick.output)
    assert "docker start dagfleet-location-etl" in sick.output.partition("Next:")[2]
    assert "on beta" not in sick.output
    deadline = time.monotonic() + 120
    while (again := fleet.operator.run("doctor")).code:
        assert time.monotonic() < deadline, again.output + again.errors
