"""Putting a backup back."""

import io
import json
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.component.backup.conftest import OTHER, RELEASES, STORAGE, Host, sealed_for


@pytest.fixture(scope="module")
def kept(worked: Host) -> tuple[str, bytes]:
    """A backup, made once."""
    worked.releases.write_text(RELEASES)
    name = worked.well("create")["name"]
    return name, (worked.directory / name).read_bytes()


@pytest.fixture
def made(kept: tuple[str, bytes], source: Host) -> str:
    name, content = kept
    source.well("receive", name, stdin=content)
    return name


def rewritten(host: Host, name: str, change: Callable[[dict[str, Any]], object]) -> str:
    """A copy of a backup whose manifest says something else."""
    copy = f"prod-20990101T00000{len(host.well('list'))}Z.tar"
    with tarfile.open(host.directory / name) as old, tarfile.open(host.directory / copy, "w") as new:
        for entry in old:
            content = old.extractfile(entry)
            assert content is not None
            data = content.read()
            if entry.name == "manifest.json":
                facts = json.loads(data)
                change(facts)
                data = json.dumps(facts).encode()
                entry.size = len(data)
            new.addfile(entry, io.BytesIO(data))
    return copy


def test_a_database_with_runs_stays_unless_forced(source: Host, made: str) -> None:
    source.ask("INSERT INTO empty VALUES (42)", OTHER)
    try:
        assert "the database has 7 runs already" in source.refused("restore", made)
        assert source.ask("SELECT * FROM empty", OTHER) == [42]
        source.well("restore", made, "--force")
        assert source.ask("SELECT * FROM empty", OTHER) == []
        assert source.known_databases() >= {STORAGE, OTHER}
        assert not [name for name in source.known_databases() if name.startswith("dagfleet_")]
    finally:
        source.ask("DELETE FROM empty", OTHER)


def test_releases_of_the_backup_come_before_those_made_since(source: Host, empty: Host, made: str) -> None:
    empty.releases.write_text('{"number": 1}\n{"number": 1, "since": true}\n')
    source.send_to(empty, made)
    empty.well("restore", made)
    assert empty.releases.read_text().splitlines() == [
        '{"number": 1}', '{"number": 2}', '{"number": 1, "since": true}',
    ]  # fmt: skip


def test_databases_stay_closed_to_strangers(source: Host, empty: Host, made: str) -> None:
    source.send_to(empty, made)
    empty.well("restore", made)
    assert empty.ask("SELECT has_database_privilege('public', oid, 'CONNECT') FROM pg_database"
                     " WHERE datname IN ('dagster', 'warehouse')") == [False, False]  # fmt: skip


def test_whoever_is_still_connected_is_put_out(source: Host, empty: Host, made: str) -> None:
    source.send_to(empty, made)
    with closing(
        psycopg2.connect(
            host="127.0.0.1", port=empty.port, user=STORAGE, password=empty.database.password, dbname=STORAGE
        )
    ):
        empty.well("restore", made)
    assert empty.rows() == source.rows()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda facts: facts.update(fleet="staging"), "is of fleet staging, and this is prod"),
        (lambda facts: facts.update(format=2), "has format 2, this Dagfleet reads format 1"),
        (lambda facts: facts["versions"].update(dagster="1.14.0"), "was made with Dagster 1.14.0"),
        (lambda facts: facts["members"].popitem(), "is damaged: releases is not what its manifest says"),
        (
            lambda facts: facts["members"].update(more={"size": 1, "sha256": ""}),
            "is damaged: more is missing",
        ),
        (
            lambda facts: facts["databases"]["dagster"]["tables"]["public.runs"].update(rows=8),
            "is damaged: of database dagster, public.runs has 7 rows instead of 8",
        ),
        (
            lambda facts: facts["databases"]["dagster"]["tables"]["public.runs"].update(sum="1"),
            "is damaged: of database dagster, public.runs has 7 rows, but not the same ones",
        ),
        (
            lambda facts: facts["databases"].update(gone={"owner": "dagster", "tables": {}}),
            "has a database gone, which this fleet has not",
        ),
    ],
)
def test_what_does_not_belong_here_is_refused_and_nothing_changes(
    source: Host, empty: Host, made: str, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    copy = rewritten(source, made, change)
    source.send_to(empty, copy)
    empty.ask("CREATE TABLE mine AS SELECT 1 AS x", OTHER)
    before = empty.rows()
    assert said in empty.refused("restore", copy)
    assert empty.rows() == before
    assert not empty.releases.exists() or not empty.releases.read_text()


def test_a_name_in_an_archive_cannot_lead_out_of_it(source: Host, empty: Host, made: str) -> None:
    copy = "prod-20990101T000000Z.tar"
    facts = {
        "format": 1,
        "fleet": "prod",
        "databases": {},
        "members": {"../../escaped": {"size": 1, "sha256": ""}},
    }
    with tarfile.open(source.directory / copy, "w") as tar:
        for name, data in (("manifest.json", json.dumps(facts).encode()), ("../../escaped", b"x")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    assert made
    assert "lies outside" in source.refused("verify", copy)
    assert not list(source.folder.glob("**/escaped"))
    assert empty.well("list") == []


def damages(content: bytes) -> list[bytes]:
    """The file cut off, or with one bit turned, at places all over it."""
    size = len(content)
    cut = [content[: size * part // 4] for part in range(4)]
    turned = [
        content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        # In the manifest, in dumps, in the middle and at the end of what counts.
        for at in (513, 2000, size // 2, size * 3 // 4)
    ]
    return [*cut, *turned]


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_a_damaged_backup_is_refused(
    source: Host, empty: Host, identity: tuple[str, str], encrypted: bool
) -> None:
    secret, recipient = identity
    host = sealed_for(source, recipient) if encrypted else source
    name = host.well("create")["name"]
    content = (host.directory / name).read_bytes()
    stdin = secret.encode() if encrypted else b""
    options = ["--identity"] if encrypted else []
    for number, damaged in enumerate(damages(content)):
        worse = f"prod-20990101T00000{number}Z.tar{'.age' if encrypted else ''}"
        empty.well("receive", worse, stdin=damaged)
        told = empty.refused("restore", worse, *options, stdin=stdin)
        assert "is damaged: " in told or "cannot be decrypted: " in told, (number, told)
    assert empty.well("state") == {"runs": 0}
    assert replace(empty).well("list")
    assert Path(host.directory / name).read_bytes() == content
