"""Deleting images: what is freed, and what goes on meanwhile."""

import subprocess
import threading
import time

from tests.component.registry.conftest import LOGIN, MANIFEST, Answer, Shop, digest_of

KEPT, GONE = b"what an image still has", b"what no image has any more"


def test_while_garbage_is_collected_hosts_pull_and_nobody_pushes(shop: Shop) -> None:
    shop.push("kept", "1", KEPT)
    with shop.restarted(**shop.while_collecting()):
        assert shop.ask("GET", "/v2/kept/manifests/1", leaf="ours/beta", Accept=MANIFEST).status == 200
        assert shop.ask("POST", "/v2/kept/blobs/uploads/", login=LOGIN).status == 405
    assert shop.ask("POST", "/v2/kept/blobs/uploads/", login=LOGIN).status == 202


def test_layers_of_a_deleted_image_are_freed_and_those_of_others_stay(shop: Shop) -> None:
    shop.push("kept", "1", KEPT)
    digest = shop.push("etl", "old", GONE)
    deleted = shop.ask("DELETE", f"/v2/etl/manifests/{digest}", login=LOGIN)
    assert deleted.status == 202
    with shop.restarted(**shop.while_collecting()):
        subprocess.run(
            ["docker-registry", "garbage-collect", str(shop.folder / "registry.yml")],
            check=True, timeout=60, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    layers = {
        content: shop.ask("GET", f"/v2/{name}/blobs/{digest_of(content)}", leaf="ours/beta").status
        for name, content in (("kept", KEPT), ("etl", GONE))
    }
    assert layers == {KEPT: 200, GONE: 404}
    # The name is free again, and what was deleted can be pushed again.
    assert shop.push("etl", "old", GONE) == digest


def test_a_pull_waits_for_a_restart(shop: Shop) -> None:
    shop.push("kept", "1", KEPT)
    answers: list[Answer] = []

    def pull() -> None:
        answers.append(shop.ask("GET", "/v2/kept/manifests/1", leaf="ours/beta", Accept=MANIFEST))

    shop.stop()
    thread = threading.Thread(target=pull)
    thread.start()
    try:
        # Long enough to have been refused more than once.
        time.sleep(3)
        assert not answers
    finally:
        shop.start()
    thread.join(timeout=60)
    assert [answer.status for answer in answers] == [200]
