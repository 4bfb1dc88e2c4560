"""Archives and trees depend on content alone, never on dates, owners or this machine's paths."""

import io
import os
import tarfile
from pathlib import Path

from dagfleet.image.context import write_archive
from dagfleet.image.digest import content_digest
from dagfleet.image.environment import wheel_environment
from dagfleet.image.target import Target
from dagfleet.image.wheels import plugin_wheels
from dagfleet.paths import bundle
from hypothesis import given
from hypothesis import strategies as st

PARTS = st.lists(st.tuples(st.text(max_size=4), st.binary(max_size=4)), max_size=4)


@given(one=PARTS, other=PARTS)
def test_digests_are_equal_exactly_for_equal_parts(
    one: list[tuple[str, bytes]], other: list[tuple[str, bytes]]
) -> None:
    assert (content_digest(one) == content_digest(other)) == (one == other)


def packed(folder: Path) -> bytes:
    file = io.BytesIO()
    write_archive(file, {"code": folder, "Dockerfile": b"FROM scratch\n"})
    return file.getvalue()


def test_an_archive_does_not_depend_on_dates_or_umask(tmp_path: Path) -> None:
    for name, mode, date in (("a", 0o640, 1_000_000_000), ("b", 0o664, 1_700_000_000)):
        (tmp_path / name / "package").mkdir(parents=True)
        file = tmp_path / name / "package" / "defs.py"
        file.write_text("ANSWER = 42\n")
        file.chmod(mode)
        os.utime(file, (date, date))

    assert packed(tmp_path / "a") == packed(tmp_path / "b")


def test_an_archive_keeps_what_may_be_executed(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o700)
    (tmp_path / "data").write_text("1\n")

    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path))) as archive:
        modes = {member.name: member.mode for member in archive}

    assert modes == {"Dockerfile": 0o644, "code": 0o755, "code/data": 0o644, "code/run": 0o755}


def test_plugins_become_a_tree_without_traces_of_this_machine(tmp_path: Path, cache: Path) -> None:
    tree = wheel_environment(plugin_wheels(), Target(), tmp_path / "tree")

    packages = tree / "lib" / "python3.11" / "site-packages"
    assert (packages / "clt_queued_run_coordinator" / "coordinator.py").is_file()
    assert (packages / "dagster_multihost_launcher" / "__init__.py").is_file()
    files = [path for path in tree.rglob("*") if path.is_file()]
    assert not [path for path in files if str(bundle()).encode() in path.read_bytes()]
    assert not [path for path in files if str(cache).encode() in path.read_bytes()]


def test_equal_sources_give_the_same_wheel_from_the_cache(cache: Path) -> None:
    first = plugin_wheels()
    built = [path.stat().st_mtime_ns for path in first]

    assert plugin_wheels() == first
    assert [path.stat().st_mtime_ns for path in first] == built
    assert all(cache in path.parents for path in first)
