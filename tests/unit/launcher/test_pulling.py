from __future__ import annotations

import os
import subprocess
import time
from types import SimpleNamespace
from typing import Any

import pytest
from dagster_multihost_launcher.adoption import process_began
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.pulling import Image, Images, Request, _image, _progress
from dagster_multihost_launcher.settings import Host, Settings

ID, DIGEST = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def silent(_: str) -> None: ...


@pytest.mark.parametrize(
    ("name", "digests", "reference", "digest"),
    [
        ("reg.example.com:5000/etl:1", ["reg.example.com:5000/etl"], "reg.example.com:5000/etl:1", DIGEST),
        ("etl", ["etl"], "etl", DIGEST),
        ("etl:1", ["mirror.example.com/etl"], None, ID),
        ("etl:1", [], None, ID),
    ],
)
def test_an_image_is_meant_by_its_registrys_digest_or_else_by_its_id(
    name: str, digests: list[str], reference: str | None, digest: str
) -> None:
    found = _image(name, {"Id": ID, "RepoDigests": [f"{each}@{DIGEST}" for each in digests]})
    assert found == Image(name=name, reference=f"{reference}@{digest}" if reference else ID, digest=digest)


def test_a_digest_that_somebody_wrote_stays_as_it_is_written() -> None:
    found = _image(f"etl:1@{DIGEST}", {"Id": ID, "RepoDigests": [], "Config": {"Entrypoint": ["/init"]}})
    assert (found.reference, found.digest, found.entrypoint) == (f"etl:1@{DIGEST}", DIGEST, ("/init",))


def test_progress_adds_up_the_layers() -> None:
    layers: dict[str, tuple[int, int]] = {}

    def line(layer: str, current: int, total: int) -> dict[str, Any]:
        detail = {"current": current, "total": total}
        return {"status": "Downloading", "id": layer, "progressDetail": detail}

    assert _progress(layers, {"status": "Pulling from etl", "id": "1"}) is None
    assert _progress(layers, line("a", 1_000_000, 4_000_000)) == "1.0 of 4.0 MB"
    assert _progress(layers, line("b", 500_000, 2_000_000)) == "1.5 of 6.0 MB"
    assert _progress(layers, {"status": "Download complete", "id": "a"}) == "4.5 of 6.0 MB"


def test_what_a_name_means_is_asked_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def inspect_image(name: str) -> dict[str, Any]:
        asked.append(name)
        return {"Id": ID}

    connection = HostConnection(Host(name="beta", url="unix:///nowhere.sock"), Settings())
    api = SimpleNamespace(inspect_image=inspect_image, close=silent)
    monkeypatch.setattr(connection, "_opened", lambda: api)
    clock = iter((0.0, 0.0, 30.0, 59.0, 61.0, 61.0, 61.0, 61.0))
    images = Images(connection, lambda: next(clock))
    for _ in range(3):
        images.resolved(Request(name="etl:1"), silent)
    assert asked == ["etl:1"]
    images.resolved(Request(name="etl:1"), silent)
    assert asked == ["etl:1", "etl:1"]
    images.forget("etl:1")
    images.resolved(Request(name="etl:1"), silent)
    assert len(asked) == 3


def test_a_process_knows_when_it_began() -> None:
    before = time.time()
    output = subprocess.run(
        ["ps", "-o", "etimes=", "-p", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    elapsed, after = int(output), time.time()
    assert before - elapsed - 2 <= process_began() <= after - elapsed + 2
