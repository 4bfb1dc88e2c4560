"""Another Dagster for a fleet with ten thousand runs: refused, failed, killed at each step, and done."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from dagfleet.control.plane import JobSelector
from dagfleet.fleet import load_fleet
from dagfleet.fleet.loading import parse_fleet
from dagfleet.image import build_location, control_plane_reference
from dagfleet.phases.upgrading import STEPS

from tests.e2e.deployed import NETWORK, ON_DEMO, REPOSITORY, DeployedFleet, Operator, Result, own_image
from tests.e2e.pair import Working, start, write_pair

pytestmark = pytest.mark.skipif(ON_DEMO, reason="the demo's fleet is not ours to take apart")
UPGRADE_NETWORK = NETWORK + 3 if os.environ.get("E2E_NETWORK") else 53
OLD, NEW = "1.12.22", "1.13.27"
RUNS = 10_001
MANY_RUNS = REPOSITORY / "tests/component/backup/many_runs.sql"
COMMENT = "# Ours until the end of the year."
JOURNAL = "/var/lib/dagfleet/upgrade"
COUNT = "query { runsOrError(limit: 1) { ... on Runs { count } } }"
ROWS = """
SELECT count(*), sum(hashtextextended(t::text, 0)) FROM runs t;
SELECT count(*), sum(hashtextextended(t::text, 0)) FROM run_tags t;
SELECT count(*), sum(hashtextextended(t::text, 0)) FROM event_logs t;
"""
# A migration that stops half-way, under the name of the new control plane: half of the runs are gone.
MIGRATION = """#!/opt/venv/bin/python
import os, sys, psycopg2, yaml
with open(os.environ["DAGSTER_HOME"] + "/dagster.yaml") as file:
    storage = yaml.safe_load(file)["storage"]["postgres"]["postgres_url"]
with psycopg2.connect(storage) as connection:
    connection.cursor().execute("DELETE FROM runs WHERE id % 2 = 0")
sys.exit("column colour of relation runs does not exist")
"""


class Upgraded(DeployedFleet):
    NAME = f"e2e-upgrade-{UPGRADE_NETWORK}"
    ADDRESSES = {"alpha": f"10.89.{UPGRADE_NETWORK}.11", "beta": f"10.89.{UPGRADE_NETWORK}.12"}  # noqa: RUF012

    @property
    def file(self) -> Path:
        return self.operator.folder / "fleet.yml"

    def sql(self, text: str) -> str:
        psql = "runuser -u postgres -- psql --no-psqlrc -qAtp 6431 -v ON_ERROR_STOP=1 dagster"
        return self.sh("alpha", f"cd / && {psql} <<'SQL'\n{text}\nSQL")

    def rows(self) -> str:
        """How many rows runs have left, and a sum over what is in them."""
        return self.sql(ROWS)

    def step(self) -> str:
        """The step that the journal names; empty when no upgrade is under way."""
        text = self.sh("alpha", f"cat {JOURNAL} 2>/dev/null || true")
        return str(json.loads(text)["step"]) if text else ""

    def ends(self) -> str:
        """Launch a run and return how it ends."""
        with self.plane() as plane:
            run_id = plane.launch(JobSelector(location="etl", job="daily_weather"), partition="2015-01-01")
            return plane.finished(run_id, timeout=240).status

    def counted(self) -> int:
        """How many runs the web UI tells of."""
        with self.session() as web:
            return int(web.query(COUNT)["runsOrError"]["count"])


@dataclass(frozen=True)
class Images:
    """The location's image for the new Dagster, and one whose code cannot be imported."""

    new: str
    broken: str


def well(done: Result) -> Result:
    assert done.code == 0, done.output + done.errors
    return done


@pytest.fixture(scope="module")
def images(engine: docker.DockerClient, upgraded: Upgraded) -> Iterator[Images]:
    fleet = load_fleet(upgraded.file).fleet
    new = f"{own_image(Upgraded.NAME)}-new"
    folder = upgraded.operator.folder
    build_location(folder / "locations" / "etl", new, engine, base=fleet.images.base, dagster=NEW)
    (folder / "broken").mkdir()
    (folder / "broken" / "Dockerfile").write_text(
        f"FROM {new}\nRUN echo 'import a_module_that_nobody_installed' "
        ">>\"$(python -c 'import etl; print(etl.__path__[0])')/defs.py\"\n"
    )
    engine.images.build(path=str(folder / "broken"), tag=f"{new}-broken", rm=True)
    yield Images(new=new, broken=f"{new}-broken")
    for name in (f"{new}-broken", new):
        engine.images.remove(name, force=True)


@pytest.fixture(scope="module")
def upgraded(new_operator: Callable[[str, int], Operator], engine: docker.DockerClient) -> Iterator[Upgraded]:
    """Two machines with the older Dagster, and ten thousand runs that it has made."""
    operator = new_operator(Upgraded.NAME, UPGRADE_NETWORK)
    write_pair(operator)
    file, etl = operator.folder / "fleet.yml", operator.folder / "locations" / "etl"
    file.write_text(f"{COMMENT}\n{file.read_text().replace(NEW, OLD)}")
    # Without a lock of its own the practice location takes the fleet's Dagster.
    (etl / "requirements.txt").unlink()
    project = etl / "pyproject.toml"
    project.write_text(project.read_text().replace("dagster>=1.13", "dagster>=1.12"))
    operator.run("lab", "down")
    try:
        well(operator.run("lab", "up"))
        well(operator.run("apply", "-y"))
        fleet = Upgraded(operator=operator, engine=engine)
        assert fleet.ends() == "SUCCESS"
        [original] = fleet.sql("SELECT run_id FROM runs").split()
        fleet.sql(MANY_RUNS.read_text().replace("ORIGINAL", original))
        assert fleet.counted() == RUNS
        yield fleet
    finally:
        if os.environ.get("KEEP_FLEET") != "1":
            operator.run("lab", "down")
            engine.images.remove(own_image(Upgraded.NAME), force=True)


@pytest.fixture(scope="module")
def killed() -> list[Working]:
    """The upgrades that were killed so far."""
    return []


@pytest.fixture(scope="module")
def rows(upgraded: Upgraded) -> str:
    """What runs have left before the first upgrade is killed."""
    return upgraded.rows()


def refused(upgraded: Upgraded, *arguments: str) -> str:
    """Run what must be refused as a configuration; its words."""
    before = upgraded.file.read_text()
    done = upgraded.operator.run(*arguments)
    assert done.code == 3, done.output + done.errors
    assert "Nothing was touched." in done.errors
    assert not upgraded.step()
    assert upgraded.file.read_text() == before
    return done.errors


def test_what_was_never_tested_is_older_or_does_not_fit_is_refused(upgraded: Upgraded) -> None:
    assert "Dagster 1.13.28 was never tested" in refused(upgraded, "upgrade", "1.13.28")
    assert "tables cannot go back to 1.11.3" in refused(upgraded, "upgrade", "1.11.3")
    told = refused(upgraded, "upgrade", NEW)
    assert f"location etl: it has Dagster {OLD} in image {own_image(Upgraded.NAME)}" in told
    assert f"name one that fits: dagfleet upgrade {NEW} --image etl=REF" in told
    before = upgraded.file.read_text()
    upgraded.file.write_text(before.replace(OLD, NEW))
    try:
        told = refused(upgraded, "apply", "-y")
    finally:
        upgraded.file.write_text(before)
    assert f"runs Dagster {OLD}, and fleet.yml says {NEW}" in told
    assert f"dagfleet upgrade {NEW}" in told
    assert upgraded.ends() == "SUCCESS"


def test_a_breaking_change_waits_for_its_number_in_the_file(upgraded: Upgraded) -> None:
    """As for a fleet that a Dagfleet has applied before the change was numbered."""
    upgraded.sh("alpha", "sed -i 's/, \"breaking\": [0-9]*//' /var/lib/dagfleet/releases")
    for command in (("apply", "-y"), ("plan",), ("upgrade", NEW)):
        told = refused(upgraded, *command)
        assert "hosts remove an image that served a location" in told
    line = re.findall(r"acknowledge: \[[\d, ]+\]", told)[0]
    upgraded.file.write_text(upgraded.file.read_text() + f"{line}\n")
    well(upgraded.operator.run("apply", "-y"))


def test_a_migration_that_fails_is_taken_back(upgraded: Upgraded, images: Images) -> None:
    before, text = upgraded.rows(), upgraded.file.read_text()
    reference = control_plane_reference(parse_fleet(text.replace(OLD, NEW), name="fleet.yml"))
    upgraded.sh(
        "alpha",
        f"mkdir /tmp/bad && cat >/tmp/bad/dagster <<'PYTHON'\n{MIGRATION}\nPYTHON\n"
        "chmod 755 /tmp/bad/dagster && image=$(docker inspect -f '{{.Config.Image}}' dagfleet-daemon) && "
        'printf "FROM $image\\nCOPY dagster /opt/venv/bin/dagster\\n" >/tmp/bad/Dockerfile && '
        f"docker build -q -t {reference} /tmp/bad && rm -r /tmp/bad",
    )
    done = upgraded.operator.run("upgrade", NEW, "--image", f"etl={images.new}")
    upgraded.sh("alpha", f"docker rmi --force {reference}")
    assert done.code == 1, done.output + done.errors
    assert f'runs Dagster {OLD} as before: the upgrade to {NEW} failed at step "migrate"' in done.errors
    assert "column colour of relation runs does not exist" in done.errors
    as_before(upgraded, before, text)


def test_code_that_cannot_be_imported_is_taken_back_with_the_control_plane(
    upgraded: Upgraded, images: Images
) -> None:
    before, text = upgraded.rows(), upgraded.file.read_text()
    done = upgraded.operator.run("upgrade", NEW, "--image", f"etl={images.broken}")
    assert done.code == 1, done.output + done.errors
    assert f'as before: the upgrade to {NEW} failed at step "code servers"' in done.errors
    as_before(upgraded, before, text)


def as_before(upgraded: Upgraded, rows: str, text: str) -> None:
    """The fleet works with the older Dagster, has every row, and its history tells what was tried."""
    assert upgraded.rows() == rows
    assert upgraded.file.read_text() == text
    assert not upgraded.step()
    used = upgraded.sh("alpha", "docker inspect -f '{{.Config.Image}}' dagfleet-daemon dagfleet-web")
    assert re.fullmatch(rf"(dagfleet/control-plane:{OLD}-\S+\s+){{2}}", used)
    last = well(upgraded.operator.run("history", "--json")).json[-1]
    assert (last["dagster"], bool(last["taken_back"])) == (OLD, True)
    assert "taken back: " in well(upgraded.operator.run("history")).output
    well(upgraded.operator.run("doctor"))
    assert upgraded.ends() == "SUCCESS"


@pytest.mark.parametrize("step", STEPS)
def test_an_upgrade_killed_at_any_step_leaves_what_the_same_command_goes_on_from(
    upgraded: Upgraded, images: Images, rows: str, killed: list[Working], step: str
) -> None:
    assert rows
    well(upgraded.operator.run("lock", "release", "--force"))
    upgrade = start(upgraded, "upgrade", NEW, "--image", f"etl={images.new}")

    def reached(_working: Working) -> bool:
        now = upgraded.step()
        return bool(now) and STEPS.index(now) >= STEPS.index(step)

    upgrade.until(reached)
    upgrade.kill()
    killed.append(upgrade)
    assert upgraded.step()
    well(upgraded.operator.run("lock", "release", "--force"))
    if step != STEPS[-1]:
        other = upgraded.operator.run("apply", "-y")
        assert other.code == 3, other.output + other.errors
        assert f"finish it first: dagfleet upgrade {NEW}" in other.errors.lower()


def test_the_command_after_them_has_the_fleet_upgraded_and_every_run(
    upgraded: Upgraded, images: Images, rows: str, killed: list[Working]
) -> None:
    healed = well(upgraded.operator.run("upgrade", NEW, "--image", f"etl={images.new}", "--wait", "90s"))
    assert re.search(r"(?m)^done +release \d+", healed.output), healed.output
    assert [working.orphans() for working in killed] == [[] for _ in killed]
    assert not upgraded.step()
    assert not (upgraded.operator.folder / "fleet.upgrade.yml").exists()
    text = upgraded.file.read_text()
    assert text.startswith(COMMENT)
    fleet = load_fleet(upgraded.file).fleet
    assert (fleet.dagster.version, fleet.locations["etl"].image) == (NEW, images.new)
    assert upgraded.rows() == rows
    assert upgraded.counted() >= RUNS

    last = well(upgraded.operator.run("history", "--json")).json[-1]
    assert (last["dagster"], last["taken_back"]) == (NEW, "")
    assert last["command"].startswith(f"dagfleet upgrade {NEW}")
    for command in ("check", "status", "doctor", "plan"):
        well(upgraded.operator.run(command))
    for name in upgraded.sql("SELECT run_id FROM runs ORDER BY md5(run_id) LIMIT 5").split():
        with upgraded.plane() as plane:
            assert plane.run(name).status == "SUCCESS"
    assert upgraded.ends() == "SUCCESS"
    again = well(upgraded.operator.run("upgrade", NEW))
    assert f"has Dagster {NEW} already" in again.output
