"""The database's part of an upgrade: ten thousand runs of the older Dagster, migrated, and put back."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.component.backup.conftest import STORAGE, Host

REPOSITORY = Path(__file__).parents[3]
OLDER = REPOSITORY / ".build/environments/dagster-1.12/bin/python"
MANY_RUNS = Path(__file__).with_name("many_runs.sql")
RUNS = 10_001
# What a migration that stops half-way may leave: tables that no Dagster knows, and rows that are gone.
HALF_A_MIGRATION = """
DELETE FROM runs WHERE id % 2 = 0;
ALTER TABLE run_tags RENAME TO tags_of_runs;
ALTER TABLE runs ADD colour text;
UPDATE alembic_version SET version_num = '000000000000'
"""


@pytest.fixture(scope="module")
def older() -> Path:
    """The Python of the older Dagster that fleets are upgraded from."""
    done = subprocess.run(
        ["scripts/environment.sh", "dagster-1.12", "coordinator", "launcher"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return OLDER


@pytest.fixture
def home(empty: Host) -> Path:
    """An instance on the host's database."""
    folder = empty.folder / "home"
    folder.mkdir()
    url = f"postgresql://{STORAGE}:{empty.database.password}@127.0.0.1:{empty.port}/{STORAGE}"
    text = yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}})
    (folder / "dagster.yaml").write_text(text)
    return folder


def said(python: Path, command: str, home: Path) -> Any:
    script = Path(__file__).with_name("instance.py")
    done = subprocess.run([python, script, command, home], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_ten_thousand_runs_survive_the_migration_and_a_failed_one_is_put_back(
    empty: Host, home: Path, older: Path
) -> None:
    original = said(older, "work", home)
    empty.ask(MANY_RUNS.read_text().replace("ORIGINAL", original), STORAGE)
    first, rows = said(older, "read", home), empty.rows()
    assert first | {"events": 0} == {
        "dagster": "1.12.22", "runs": RUNS, "tagged": RUNS, "statuses": ["SUCCESS"], "events": 0,
    }  # fmt: skip
    made = empty.well("create")
    assert empty.well("verify", made["name"])["runs"] == RUNS

    migrate = [Path(sys.executable).with_name("dagster"), "instance", "migrate"]
    done = subprocess.run(
        migrate, env={"DAGSTER_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert said(Path(sys.executable), "read", home) == first | {"dagster": "1.13.27"}
    migrated = empty.rows()
    runs = [f"dagster public.{table}" for table in ("runs", "run_tags", "event_logs")]
    assert [len(migrated[table]) for table in runs] == [len(rows[table]) for table in runs]

    empty.ask(HALF_A_MIGRATION, STORAGE)
    restored = empty.well("restore", made["name"], "--force")
    assert (restored["runs"], restored["rows"]) == (RUNS, made["rows"])
    assert empty.rows() == rows
    assert said(older, "read", home) == first
