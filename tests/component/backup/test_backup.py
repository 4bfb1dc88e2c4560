"""Making backups."""

import io
import json
import os
import pwd
import stat
import subprocess
import tarfile
import threading
from dataclasses import replace

import pytest

from tests.component.backup.conftest import ACCOUNT, OTHER, RELEASES, Host, new_identity, sealed_for


def manifest(host: Host, name: str) -> dict[str, object]:
    with tarfile.open(host.directory / name) as tar:
        first = tar.next()
        assert first is not None
        content = tar.extractfile(first)
        assert content is not None
        return json.load(content)


def test_a_backup_restored_on_an_empty_host_has_every_row(source: Host, empty: Host) -> None:
    made = source.well("create")
    source.send_to(empty, made["name"])
    assert empty.well("state") == {"runs": 0}

    restored = empty.well("restore", made["name"])

    before, after = source.rows(), empty.rows()
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == set()
    assert len(before) > 20
    assert (
        restored["rows"]
        == made["rows"]
        == sum(len(rows) for name, rows in after.items() if "sequences" not in name)
    )
    assert empty.well("state") == {"runs": 7}
    assert empty.releases.read_text() == RELEASES


def test_it_says_what_is_in_it_and_only_postgres_may_read_it(source: Host) -> None:
    made = source.well("create")
    path = source.directory / made["name"]
    found = path.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert pwd.getpwuid(found.st_uid).pw_name == ACCOUNT
    assert (made["bytes"], made["encrypted"], made["runs"]) == (found.st_size, False, 7)
    facts = manifest(source, made["name"])
    assert facts["fleet"] == "prod"
    assert set(facts["versions"]) == {"dagfleet", "dagster", "postgresql"}
    assert facts["databases"]["dagster"]["tables"]["public.runs"]["rows"] == 7
    assert facts["databases"][OTHER]["tables"]['Odd one.Table "x" y']["rows"] == 5000
    with tarfile.open(path) as tar:
        assert [name.partition("/")[0] for name in tar.getnames()] == [
            "manifest.json", "databases", "databases", "configuration", "releases",
        ]  # fmt: skip
    assert source.well("list") == [{key: made[key] for key in ("name", "at", "bytes", "encrypted")}]


def test_passwords_are_neither_in_it_nor_on_a_command_line(source: Host) -> None:
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            listed = subprocess.run(["ps", "-eww", "-o", "args="], capture_output=True, text=True, check=True)
            seen.update(line for line in listed.stdout.splitlines() if "dump" in line)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        made = source.well("create")
    finally:
        stop.set()
        watcher.join()
    assert any("pg_dump" in line for line in seen)
    secret = source.database.password
    assert not [line for line in seen if secret in line]
    assert secret.encode() not in (source.directory / made["name"]).read_bytes()
    with tarfile.open(source.directory / made["name"]) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            assert content is not None
            if entry.name.endswith(".dump"):
                dump = source.folder / "dump"
                dump.write_bytes(content.read())
                script = subprocess.run(
                    ["pg_restore", "-f", "-", dump], capture_output=True, check=True
                ).stdout
                assert len(script) > 1000
                assert secret.encode() not in script
                assert b"PASSWORD" not in script


def test_verify_compares_every_table_and_leaves_nothing(source: Host) -> None:
    made = source.well("create")
    before = source.known_databases()
    verified = source.well("verify")
    assert (verified["name"], verified["rows"], verified["tables"]) == (
        made["name"],
        made["rows"],
        made["tables"],
    )
    assert source.known_databases() == before


def test_what_is_written_meanwhile_is_in_it_as_a_whole_or_not_at_all(source: Host) -> None:
    source.ask("CREATE TABLE busy (id bigint GENERATED ALWAYS AS IDENTITY, x int)", OTHER)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            source.ask("INSERT INTO busy (x) VALUES (1)", OTHER)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [source.well("create")["rows"] for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    try:
        assert made[0] < made[2], "it was written all the time"
        for each in source.well("list"):
            source.well("verify", each["name"])
    finally:
        source.ask("DROP TABLE busy", OTHER)


def test_with_a_recipient_nobody_else_can_read_it(
    source: Host, empty: Host, identity: tuple[str, str]
) -> None:
    secret, recipient = identity
    host = sealed_for(source, recipient)
    made = host.well("create")
    assert made["name"].endswith(".tar.age")
    assert made["encrypted"]
    content = (source.directory / made["name"]).read_bytes()
    assert content.startswith(b"age-encryption.org/v1")
    assert b"manifest.json" not in content

    assert "is encrypted" in host.refused("verify", made["name"])
    assert "cannot be decrypted: " in host.refused(
        "verify", made["name"], "--identity", stdin=new_identity()[0].encode()
    )
    assert host.well("verify", made["name"], "--identity", stdin=secret.encode())["rows"] == made["rows"]
    source.send_to(empty, made["name"])
    empty.well("restore", made["name"], "--identity", stdin=secret.encode())
    assert empty.rows() == source.rows()


def test_a_recipient_that_is_none_is_refused_and_leaves_nothing(source: Host) -> None:
    assert "age could not encrypt" in sealed_for(source, "age1nonsense").refused("create")
    assert source.well("list") == []


def test_old_ones_go_once_a_new_one_is_whole_and_nothing_else_does(source: Host) -> None:
    foreign = [
        "notes.txt",
        "staging-20200101T000000Z.tar",
        "prod-20200101T000000Z.tar.gz",
        "prod-20209999T000000Z.tar",
    ]
    for name in foreign:
        (source.directory / name).write_text("somebody's")
    for day in range(1, 6):
        (source.directory / f"prod-2020010{day}T031500Z.tar").write_text("old")
    (source.directory / "prod-20200109T031500Z.tar").symlink_to("notes.txt")
    host = replace(source, keep=3)

    assert "PostgreSQL" in replace(host, databases=("gone",)).refused("create")
    assert len(host.well("list")) == 5, "nothing goes for a backup that was not made"

    made = host.well("create")
    assert made["deleted"] == [f"prod-2020010{day}T031500Z.tar" for day in range(1, 4)]
    assert [each["name"][:13] for each in host.well("list")][:2] == ["prod-20200104", "prod-20200105"]
    assert {path.name for path in source.directory.iterdir()} >= {*foreign, "prod-20200109T031500Z.tar"}


def test_what_is_brought_keeps_its_name_and_replaces_nothing(source: Host, empty: Host) -> None:
    made = source.well("create")
    source.send_to(empty, made["name"])
    assert "already" in empty.refused("receive", made["name"], stdin=b"other")
    assert "not called like a backup of prod" in empty.refused("receive", "../../etc/passwd", stdin=b"other")
    assert "not called like a backup of prod" in empty.refused(
        "receive", made["name"].replace("prod", "staging"), stdin=b"other"
    )
    assert "there is no backup ../prod" in empty.refused("send", "../prod")
    assert empty.well("verify", made["name"])["rows"] == made["rows"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
def test_root_reads_the_configuration_and_postgres_does_the_rest(source: Host) -> None:
    made = source.well("create")
    with tarfile.open(source.directory / made["name"]) as tar:
        kept = tar.extractfile(f"configuration{source.folder}/dagster.yaml")
        assert isinstance(kept, io.BufferedIOBase | tarfile.ExFileObject)
        assert kept.read() == (source.folder / "dagster.yaml").read_bytes()
    assert {path.owner() for path in source.directory.rglob("*")} == {ACCOUNT}
