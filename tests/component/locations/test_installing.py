"""A release that does not fit on a host's disk is told in one sentence, and leaves nothing there."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "roles/code_server/files/lib/code-server"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """The root of a host whose disk has room for a megabyte of releases."""
    disk = tmp_path / "opt"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(disk)], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def archive(**wheels: int) -> bytes:
    """A release's archive with files of these sizes."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, size in wheels.items():
            member = tarfile.TarInfo(f"{name}.whl")
            member.size = size
            tar.addfile(member, io.BytesIO(b"x" * size))
    return content.getvalue()


def install(host: Path, release: str, content: bytes) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "install", "reporting", release, "-"],
        env={"CODE_SERVER_ROOT": str(host)}, input=content, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_release_that_does_not_fit_leaves_the_disk_as_it_was(host: Path) -> None:
    serving = host / "opt/dagfleet/locations/reporting/aa11"
    serving.mkdir(parents=True)
    (serving / "complete").touch()
    failed = install(host, "bb22", archive(small=1000, large=5_000_000))
    assert failed.returncode == 1
    assert failed.stderr == (
        "Release bb22 of reporting cannot be installed: [Errno 28] No space left on device\n"
    )
    assert [each.name for each in serving.parent.iterdir()] == ["aa11"]


def test_what_a_killed_installation_left_goes_with_the_next_one(host: Path) -> None:
    left = host / "opt/dagfleet/locations/reporting/cc33"
    (left / "wheels").mkdir(parents=True)
    failed = install(host, "bb22", archive(small=1000))
    # There is no Python in that wheel, and no requirements.txt beside it.
    assert failed.returncode == 1
    assert failed.stderr.startswith("Release bb22 of reporting cannot be installed: ")
    assert list(left.parent.iterdir()) == []
