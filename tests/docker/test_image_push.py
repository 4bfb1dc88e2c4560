"""An image pushed to a second engine costs only what that engine lacks."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.image import push
from dagfleet.image.build import build
from docker.errors import DockerException, ImageNotFound

REPOSITORY = "dagfleet-test-push/app"
LARGE = 24 * 1024 * 1024
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def source() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    yield client
    for image in client.images.list(REPOSITORY):
        client.images.remove(str(image.id), force=True)
    client.close()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    """A second engine on this machine, with nothing in it."""
    folder = tmp_path_factory.mktemp("engine")
    # The path of a socket has at most 107 characters, too few for pytest's folders.
    socket = Path(tempfile.mkdtemp(prefix="dagfleet-test-push-")) / "docker.sock"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                # In a network of its own: `--bridge=none` deletes the docker0 it finds, our own engine's.
                "unshare", "--net", "--", "dockerd", "--host", f"unix://{socket}",
                "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
                "--pidfile", str(folder / "pid"), "--bridge=none", "--iptables=false",
            ],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield _answering(f"unix://{socket}", process, folder / "log")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        _unmount_below(folder)
        shutil.rmtree(folder)
        shutil.rmtree(socket.parent)


def _answering(url: str, process: "subprocess.Popen[bytes]", log: Path) -> docker.DockerClient:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            client = docker.DockerClient(base_url=url, timeout=120)
            client.ping()
        except DockerException:
            time.sleep(0.1)
        else:
            return client
    raise AssertionError(log.read_text())


def _unmount_below(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((point for point in mounts if point.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", mount], check=True, timeout=30)


def make(client: docker.DockerClient, tag: str, *, code: bytes, base: bytes) -> str:
    """Build an image of a large layer and a small one on nothing at all."""
    reference = f"{REPOSITORY}:{tag}"
    build(
        client,
        reference,
        {
            "Dockerfile": b'FROM scratch\nCOPY base /base\nCOPY code /code\nCMD ["/code"]\n',
            "base": base,
            "code": code,
        },
        arguments={},
        digest=tag,
    )
    return reference


def test_a_changed_last_layer_costs_a_hundredth_of_the_bytes(
    source: docker.DockerClient, target: docker.DockerClient
) -> None:
    base = os.urandom(LARGE)
    first = make(source, "1", code=b"first", base=base)
    second = make(source, "2", code=b"second", base=base)
    heard: list[tuple[int, int]] = []

    whole = push(first, source, target, lambda sent, total: heard.append((sent, total)))
    changed = push(second, source, target)
    again = push(second, source, target)

    assert (whole.layers_sent, whole.layers_total) == (2, 2)
    assert whole.bytes_sent > LARGE
    assert heard[-1] == (whole.bytes_sent, whole.bytes_sent)
    assert (changed.layers_sent, changed.layers_total) == (1, 2)
    assert changed.bytes_sent < whole.bytes_sent / 100
    assert (again.bytes_sent, again.layers_sent) == (0, 0)
    for reference in (first, second):
        assert target.images.get(reference).id == source.images.get(reference).id


def test_the_layer_that_was_not_sent_is_there(
    source: docker.DockerClient, target: docker.DockerClient
) -> None:
    base = os.urandom(LARGE)
    push(make(source, "3", code=b"one", base=base), source, target)
    reference = make(source, "4", code=b"two", base=base)
    push(reference, source, target)

    container = target.containers.create(reference)
    try:
        chunks, _ = container.get_archive("/base")
        content = b"".join(chunks)
    finally:
        container.remove()

    assert base in content


def test_equal_layers_are_sent_once(source: docker.DockerClient, target: docker.DockerClient) -> None:
    reference = f"{REPOSITORY}:5"
    twice = b"FROM scratch\nCOPY base /base\nCOPY code /code\nCOPY base /base\n"
    content = os.urandom(1024 * 1024)
    build(source, reference, {"Dockerfile": twice, "base": content, "code": b"x"}, arguments={}, digest="5")

    result = push(reference, source, target)

    assert target.images.get(reference).id == source.images.get(reference).id
    assert result.bytes_sent < 2 * len(content)


def test_a_moved_tag_is_moved_there_too(source: docker.DockerClient, target: docker.DockerClient) -> None:
    push(make(source, "6", code=b"old", base=b"small"), source, target)
    reference = make(source, "6", code=b"new", base=b"small")

    push(reference, source, target)

    assert target.images.get(reference).id == source.images.get(reference).id


def test_an_image_that_the_source_lacks_is_named(
    source: docker.DockerClient, target: docker.DockerClient
) -> None:
    with pytest.raises(ConfigurationError, match=f"no image {REPOSITORY}:none"):
        push(f"{REPOSITORY}:none", source, target)
    with pytest.raises(ImageNotFound):
        target.images.get(f"{REPOSITORY}:none")
