"""Images are rebuilt only when and where their content changed, and a bad base is named."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from dagfleet.errors import ConfigurationError, DagfleetError
from dagfleet.image import build_location, lab_base
from dagfleet.image.build import build
from dagfleet.paths import bundle

REPOSITORY = f"dagfleet-test-build-{os.getpid()}"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=600)
    yield client
    for image in client.images.list(f"{REPOSITORY}/*"):
        client.images.remove(str(image.id), force=True)
    client.close()


@pytest.fixture(scope="module")
def base(engine: docker.DockerClient) -> str:
    return lab_base.ensure(engine)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small location: a bare package and a lock of one package."""
    lock = (bundle() / "requirements" / "control-plane.txt").read_text()
    idna = re.search(r"^idna==.*(\n    --hash.*)+", lock, re.MULTILINE)
    assert idna
    (tmp_path / "requirements.txt").write_text(f"{idna[0]}\n")
    (tmp_path / "etl").mkdir()
    (tmp_path / "etl" / "__init__.py").touch()
    (tmp_path / "etl" / "defs.py").write_text("import idna\nCHANGED = False\n")
    return tmp_path


def layers(engine: docker.DockerClient, reference: str) -> list[str]:
    found: list[str] = engine.images.get(reference).attrs["RootFS"]["Layers"]
    return found


def test_changed_code_changes_the_last_two_layers_and_unchanged_code_builds_nothing(
    engine: docker.DockerClient, base: str, folder: Path
) -> None:
    first = build_location(folder, f"{REPOSITORY}/etl:1", engine, base=base, dagster="1.13.27")
    (folder / "etl" / "defs.py").write_text("import idna\nCHANGED = True\n")
    second = build_location(folder, f"{REPOSITORY}/etl:2", engine, base=base, dagster="1.13.27")
    lines: list[str] = []
    build_location(folder, second, engine, base=base, dagster="1.13.27", progress=lines.append)

    assert lines == []
    before, after = layers(engine, first), layers(engine, second)
    assert before[:-2] == after[:-2]
    assert before[-2:] != after[-2:]


def test_code_packages_and_commands_are_found_and_compiled(
    engine: docker.DockerClient, base: str, folder: Path
) -> None:
    reference = build_location(folder, f"{REPOSITORY}/etl:3", engine, base=base, dagster="1.13.27")
    program = (
        "import etl.defs, idna, clt_queued_run_coordinator, pathlib\n"
        "for module in (etl.defs, idna): print(pathlib.Path(module.__cached__).is_file())"
    )

    shown = engine.containers.run(
        reference, ["sh", "-c", f"python -c '{program}' && idna --version"], network_mode="none", remove=True
    )

    assert shown.split()[:3] == [b"True", b"True", b"idna"]


def test_a_base_without_python_fails_with_a_sentence(
    engine: docker.DockerClient, base: str, tmp_path: Path
) -> None:
    dockerfile = (bundle() / "images" / "control-plane" / "Dockerfile").read_bytes()

    with pytest.raises(DagfleetError, match=r"The base image has no python3\.99 on its PATH\."):
        build(
            engine,
            f"{REPOSITORY}/none:1",
            {"Dockerfile": dockerfile, "third-party": tmp_path, "plugins": tmp_path},
            arguments={"BASE": base, "PYTHON": "3.99"},
            digest="none",
        )


def test_a_base_that_cannot_be_had_is_named_with_the_key_to_change(
    engine: docker.DockerClient, folder: Path
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"base image 127\.0\.0\.1:9/none:1 is not on this Docker"
    ) as raised:
        build_location(folder, f"{REPOSITORY}/none:2", engine, base="127.0.0.1:9/none:1", dagster="1.13.27")
    assert "images.base" in str(raised.value.fix)
