"""Another image for a location at work: no call and no tick is lost; what goes wrong leaves the old."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from dagfleet.control.plane import JobSelector

from tests.e2e.deployed import IMAGE, ON_DEMO, DeployedFleet
from tests.e2e.pair import says, start
from tests.e2e.traffic import under_load

pytestmark = pytest.mark.skipif(ON_DEMO, reason="the demo's location is not ours to exchange")
HOSTS = ("beta", "gamma")
RUN_SECONDS = 240
# What a version has besides the practice location: somebody to notice when it is not there for a moment.
MORE = """
import time
import dagster as dg


@dg.schedule(job=automation.daily_weather, cron_schedule="* * * * *")
def every_minute(_context):
    return dg.SkipReason("{version}")


@dg.sensor(job=automation.daily_weather, minimum_interval_seconds=1)
def every_moment(_context):
    time.sleep(2)
    return dg.SkipReason("{version}")


@dg.op
def sleep():
    time.sleep(30)


@dg.job
def slow():
    sleep()


watched = {"schedules": [every_minute], "sensors": [every_moment]}
defs = dg.Definitions.merge(defs, dg.Definitions(jobs=[slow], **watched))
"""
# Where a run as a process sees what the host's owner puts there.
GO_ON = "/var/lib/dagfleet/dagster_home/go-on"
# The same for the location that runs as a process.
SLOW = """
import dagster as dg


@dg.op
def wait():
    import os, time
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline and not os.path.exists("{go_on}"):
        time.sleep(0.2)


@dg.job(executor_def=dg.in_process_executor)
def {name}():
    wait()


defs = dg.Definitions.merge(defs, dg.Definitions(jobs=[{name}]))
"""
STOP_SENSOR = "mutation ($id: String!) { stopSensor(id: $id) { __typename } }"
STOP_SCHEDULE = "mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename } }"
SELECTOR = {"repositoryName": "__repository__", "repositoryLocationName": "etl"}
START_SCHEDULE = """mutation ($selector: ScheduleSelector!) {
  startSchedule(scheduleSelector: $selector) { __typename ... on PythonError { message } } }"""
START_SENSOR = """mutation ($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on PythonError { message } } }"""
TICKS = """query ($selector: InstigationSelector!) {
  instigationStateOrError(instigationSelector: $selector) { __typename ... on InstigationState {
    id selectorId ticks(limit: 500) { status timestamp skipReason error { message } } } } }"""


@pytest.fixture(scope="module")
def versions(
    fleet: DeployedFleet, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Images of the location: two that serve, one that cannot be imported."""
    assert fleet
    texts = {name: MORE.replace("{version}", name) for name in ("2", "3")}
    texts["broken"] = "import a_module_that_nobody_installed\n"
    names = {}
    for name, text in texts.items():
        folder = tmp_path_factory.mktemp(f"version-{name}")
        (folder / "more.py").write_text(text)
        (folder / "Dockerfile").write_text(
            f"FROM {IMAGE}\nCOPY more.py /tmp/more.py\n"
            "RUN cat /tmp/more.py >>\"$(python -c 'import etl; print(etl.__path__[0])')/defs.py\"\n"
        )
        names[name] = f"{IMAGE}-{name}"
        engine.images.build(path=str(folder), tag=names[name], rm=True)
    yield names
    for name in names.values():
        engine.images.remove(name, force=True)


@pytest.fixture
def reporting(fleet: DeployedFleet) -> Iterator[Path]:
    """The code of the location that runs as a process, which gets back what it had."""
    code = fleet.operator.folder / "locations/reporting/reporting/defs.py"
    before = code.read_text()
    yield code
    fleet.sh("delta", f"rm -f {GO_ON}")
    code.write_text(before)
    last = fleet.operator.run("deploy", "reporting")
    assert last.code == 0, last.output + last.errors


@pytest.fixture(scope="module", autouse=True)
def as_before(fleet: DeployedFleet) -> Iterator[None]:
    """Leave the fleet as other tests expect it."""
    yield
    last = fleet.operator.run("deploy", "etl", "--image", IMAGE, "--wait", "90s")
    assert last.code == 0, last.output + last.errors


def slow_code(job: str) -> str:
    """What makes a location have a job that works until it may go on."""
    return SLOW.replace("{name}", job).replace("{go_on}", GO_ON)


def deploy(fleet: DeployedFleet, image: str) -> None:
    done = fleet.operator.run("deploy", "etl", "--image", image)
    assert done.code == 0, done.output + done.errors


def location_containers(fleet: DeployedFleet) -> dict[str, list[str]]:
    """The location's containers on each host, by image, but for the one that served before: it stays."""
    names = "docker ps --all --filter label=dagfleet.location=etl --format '{{.Names}} {{.Image}}'"
    return {
        host: [line for line in fleet.sh(host, names).splitlines() if "-previous " not in line]
        for host in HOSTS
    }


def serving(image: str) -> dict[str, list[str]]:
    return {host: [f"dagfleet-location-etl {image}"] for host in HOSTS}


def server_id(fleet: DeployedFleet, location: str = "etl") -> str | None:
    with fleet.plane() as plane:
        return next(each.server_id for each in plane.locations() if each.name == location)


def switch_off(fleet: DeployedFleet) -> None:
    """Code without a sensor that is on would fail its next tick."""
    for document, name in ((STOP_SCHEDULE, "every_minute"), (STOP_SENSOR, "every_moment")):
        with fleet.session() as session:
            found = session.query(TICKS, {"selector": {**SELECTOR, "name": name}})["instigationStateOrError"]
            session.query(document, {"id": found["id"]})


def ticks(fleet: DeployedFleet, name: str) -> list[dict[str, Any]]:
    """What a schedule or sensor did, the latest first."""
    with fleet.session() as session:
        found = session.query(TICKS, {"selector": {**SELECTOR, "name": name}})["instigationStateOrError"]
    assert found["__typename"] == "InstigationState", found
    return list(found["ticks"])


def minutes(fleet: DeployedFleet, since: float) -> list[int]:
    """The minutes for which the schedule ticked, as Unix times."""
    found = {int(tick["timestamp"]) for tick in ticks(fleet, "every_minute") if tick["timestamp"] > since}
    return sorted(found)


@contextmanager
def constant_questions(fleet: DeployedFleet) -> Iterator[list[str]]:
    """Ask the web server for its locations all the time; yields what was ever wrong with an answer."""
    wrong: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        with fleet.plane() as plane:
            while not stop.is_set():
                try:
                    wrong.extend(f"{each}" for each in plane.locations() if not each.loaded)
                except Exception as error:
                    wrong.append(repr(error))
                time.sleep(0.1)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        thread.join()


def eventually(true: Callable[[], object], seconds: float = RUN_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.5)


def test_deploys_and_a_rollback_lose_no_call_and_no_tick(
    fleet: DeployedFleet, versions: dict[str, str]
) -> None:
    deploy(fleet, versions["2"])
    began = time.time()
    with fleet.session() as session:
        session.query(START_SCHEDULE, {"selector": {**SELECTOR, "scheduleName": "every_minute"}})
        session.query(START_SENSOR, {"selector": {**SELECTOR, "sensorName": "every_moment"}})
    eventually(lambda: ticks(fleet, "every_moment"))
    with fleet.plane() as plane:
        run_id = plane.launch(JobSelector("etl", "slow"))
        eventually(lambda: plane.run(run_id).status == "STARTED")
    with under_load(fleet) as calls, constant_questions(fleet) as wrong:
        for arguments in (["deploy", "etl", "--image", versions["3"]], ["rollback", "etl"]):
            done = fleet.operator.run(*arguments)
            assert done.code == 0, done.output + done.errors
            seen = len(ticks(fleet, "every_moment"))
            eventually(lambda before=seen: len(ticks(fleet, "every_moment")) > before + 1)
        # A minute that began after the last exchange has its tick, too.
        end = time.time()
        eventually(lambda: (minutes(fleet, began) or [0])[-1] > end)
    counts = json.loads(calls.result(timeout=60))
    assert not {name: count["failed"] for name, count in counts.items() if count["failed"]}
    assert all(count["done"] > 20 for count in counts.values()), counts
    assert wrong == []
    for name in ("every_minute", "every_moment"):
        evaluated = [tick for tick in ticks(fleet, name) if tick["timestamp"] > began]
        assert {tick["status"] for tick in evaluated} <= {"SKIPPED", "STARTED"}, evaluated
    scheduled = minutes(fleet, began)
    assert scheduled == list(range(scheduled[0], scheduled[-1] + 1, 60))
    answered = [tick["skipReason"] for tick in reversed(evaluated) if tick["skipReason"]]
    assert re.fullmatch("2+3+2+", "".join(answered)), answered
    switch_off(fleet)
    # The run that worked all the while had version 2's code, and has it to its end.
    with fleet.plane() as plane:
        assert plane.finished(run_id, timeout=RUN_SECONDS).status == "SUCCESS"
    assert location_containers(fleet) == serving(versions["2"])


def test_after_them_nothing_is_left_to_apply_and_history_tells_who_did_what(
    fleet: DeployedFleet, versions: dict[str, str]
) -> None:
    planned = fleet.operator.run("plan")
    assert planned.code == 0, planned.output + planned.errors
    assert f"image: {versions['2']}" in (fleet.operator.folder / "fleet.yml").read_text()
    releases = fleet.operator.run("history", "--json").json
    assert [each["command"].split()[1] for each in releases[-3:]] == ["deploy", "deploy", "rollback"]
    assert [each["images"]["etl"] for each in releases[-3:]] == [versions[name] for name in ("2", "3", "2")]
    assert releases[-1]["digests"] == releases[-3]["digests"] != releases[-2]["digests"]


def test_a_process_is_exchanged_and_rolled_back_while_its_run_goes_on(
    fleet: DeployedFleet, reporting: Path
) -> None:
    original = reporting.read_text()
    reporting.write_text(original + slow_code("slow"))
    with constant_questions(fleet) as wrong:
        first = fleet.operator.run("deploy", "reporting")
        assert first.code == 0, first.output + first.errors
        served = server_id(fleet, "reporting")
        with fleet.plane() as plane:
            run_id = plane.launch(JobSelector("reporting", "slow"))
            eventually(lambda: plane.run(run_id).status == "STARTED")
        reporting.write_text(original + slow_code("slower"))
        second = fleet.operator.run("deploy", "reporting")
        assert second.code == 0, second.output + second.errors
        planned = fleet.operator.run("plan")
        assert planned.code == 0, planned.output + planned.errors
        back = fleet.operator.run("rollback", "reporting")
        assert back.code == 0, back.output + back.errors
        with fleet.plane() as plane:
            assert plane.run(run_id).status == "STARTED"
            fleet.sh("delta", f"touch {GO_ON}")
            assert plane.finished(run_id, timeout=RUN_SECONDS).status == "SUCCESS"
        assert server_id(fleet, "reporting") == served
    assert wrong == []
    *_, one, two, three = fleet.operator.run("history", "--json").json
    assert one["digests"]["reporting"] == three["digests"]["reporting"] != two["digests"]["reporting"]
    # The sources here are newer than what serves, and an apply would bring them.
    assert fleet.operator.run("plan").code == 2


def test_an_image_that_cannot_be_imported_leaves_the_old_one_serving(
    fleet: DeployedFleet, versions: dict[str, str]
) -> None:
    deploy(fleet, versions["2"])
    before, file = server_id(fleet), (fleet.operator.folder / "fleet.yml").read_text()
    with constant_questions(fleet) as wrong:
        failed = fleet.operator.run("deploy", "etl", "--image", versions["broken"])
    assert failed.code == 1, failed.output
    assert "No module named 'a_module_that_nobody_installed'" in failed.errors
    assert "beta serves as before" in failed.errors
    assert wrong == []
    assert server_id(fleet) == before
    assert (fleet.operator.folder / "fleet.yml").read_text() == file
    assert location_containers(fleet) == serving(versions["2"])


@pytest.mark.parametrize("moment", ["deploy +beta", "file "])
def test_a_deploy_that_is_killed_is_finished_by_the_same_command(
    fleet: DeployedFleet, versions: dict[str, str], moment: str
) -> None:
    now = (fleet.operator.folder / "fleet.yml").read_text()
    wanted = versions["3"] if f"image: {versions['2']}" in now else versions["2"]
    with constant_questions(fleet) as wrong:
        deploy = start(fleet, "deploy", "etl", "--image", wanted)
        deploy.until(says(moment))
        deploy.kill()
        again = fleet.operator.run("deploy", "etl", "--image", wanted, "--wait", "90s")
    assert again.code == 0, again.output + again.errors
    assert wrong == []
    assert location_containers(fleet) == serving(wanted)
    planned = fleet.operator.run("plan")
    assert planned.code == 0, planned.output + planned.errors
    assert fleet.operator.run("history", "--json").json[-1]["images"]["etl"] == wanted


def test_what_is_built_here_is_named_after_its_content_and_recorded(
    fleet: DeployedFleet, engine: docker.DockerClient, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nLABEL built=here\n")
    done = fleet.operator.run("deploy", "etl", "--build", str(tmp_path))
    assert done.code == 0, done.output + done.errors
    [image] = re.findall(
        r"(?m)image: (dagfleet-lab/etl:sha-[0-9a-f]{12})$", (fleet.operator.folder / "fleet.yml").read_text()
    )
    assert location_containers(fleet) == serving(image)
    engine.images.remove(image, force=True)


def test_bad_input_is_answered_before_anything_is_touched(fleet: DeployedFleet) -> None:
    for arguments, fact in (
        (["deploy", "elt"], 'no location is named "elt"'),
        (["deploy", "etl", "--image", "dagfleet-lab/etl"], "has no tag, so it means latest"),
        (["deploy", "reporting", "--image", "x:1"], "location reporting runs as a process and has no image"),
        (["rollback", "etl", "4711"], "release 4711 has no version of etl on record"),
        (["deploy", "etl", "--build", "/etc"], "/etc has no Dockerfile"),
    ):
        refused = fleet.operator.run(*arguments)
        assert refused.code == 3, refused.output + refused.errors
        assert fact in refused.errors, refused.errors
        assert "Traceback" not in refused.errors
