"""Who may do what with the registry: each cell of the page's table, and ways around it."""

import ssl
from pathlib import Path

import pytest

from tests.component.registry.conftest import LOGIN, MANIFEST, Shop, digest_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "registry.md"
BEGIN = "<!-- matrix: tests/component/registry/test_access.py tries every cell -->"
WHO: dict[str, tuple[str | None, str | None]] = {
    "nobody in particular": (None, None),
    "a user with a wrong password": (None, "ci:horse"),
    "a user of `registry.users`": (None, LOGIN),
    "a host's `mesh-client`": ("ours/beta", None),
    "a host's `mesh-client`, and a user's login": ("ours/beta", LOGIN),
    "a host's `mesh-client`, revoked": ("ours/revoked", None),
    "a host's `mesh-client` of another authority": ("theirs/beta", None),
    "a host's `mesh-server`": ("ours/mesh-server", None),
    "a host without Docker, its `mesh-client`": ("ours/delta", None),
    "`gateway`": ("ours/gateway", None),
    "`launcher`": ("ours/launcher", None),
}
NONE_SUCH = f"sha256:{'0' * 64}"
# What is asked for each, and what the registry itself answers to that.
WHAT = {
    "pull": ("GET", "/v2/etl/manifests/1", 200),
    "list what there is": ("GET", "/v2/_catalog", 200),
    "push": ("POST", "/v2/etl/blobs/uploads/", 202),
    "delete": ("DELETE", f"/v2/etl/manifests/{NONE_SUCH}", 404),
}


def cells() -> dict[tuple[str, str], str]:
    table = PAGE.read_text().split(BEGIN)[1].split("<!-- end of the matrix -->")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {(row[0], what): word for row in rows for what, word in zip(header[1:], row[1:], strict=True)}


@pytest.fixture(scope="module", autouse=True)
def image(shop: Shop) -> str:
    return shop.push("etl", "1", b"a layer")


def outcome(shop: Shop, who: str, what: str) -> str:
    (leaf, login), (method, path, through) = WHO[who], WHAT[what]
    try:
        answer = shop.ask(method, path, leaf=leaf, login=login, Accept=MANIFEST)
    except (ssl.SSLError, ConnectionError):
        return "no"
    if answer.status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic"), answer
        return "login"
    assert answer.status == through, answer
    return "yes"


@pytest.mark.parametrize(("who", "what"), cells())
def test_each_gets_what_the_page_says(shop: Shop, who: str, what: str) -> None:
    assert outcome(shop, who, what) == cells()[who, what]


def test_the_page_names_everybody_and_everything() -> None:
    assert set(cells()) == {(who, what) for who in WHO for what in WHAT}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/etl/tags/list"),
        ("GET", "/v2/etl/blobs/uploads/"),
        ("GET", "/v2/etl/manifests/../../_catalog"),
        ("GET", "/v2/%5fcatalog"),
        ("GET", "/v2//etl/manifests/1"),
        ("GET", "/v2/etl/manifests/1%2f.."),
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/debug/vars"),
        ("PUT", "/v2/etl/manifests/1"),
        ("PATCH", "/v2/etl/blobs/uploads/1"),
        ("POST", "/v2/etl/blobs/uploads/"),
        ("DELETE", "/v2/etl/manifests/1"),
        ("OPTIONS", "/v2/"),
        ("TRACE", "/v2/"),
    ],
)
def test_a_host_gets_manifests_and_layers_and_nothing_else(shop: Shop, method: str, path: str) -> None:
    assert shop.ask(method, path, leaf="ours/beta").status == 401


def test_a_host_finds_out_that_it_needs_no_login_and_pulls_every_part(shop: Shop, image: str) -> None:
    assert shop.ask("GET", "/v2/", leaf="ours/beta").status == 200
    by_digest = shop.ask("GET", f"/v2/etl/manifests/{image}", leaf="ours/beta", Accept=MANIFEST)
    assert by_digest.headers["docker-content-digest"] == image
    layer = digest_of(b"a layer")
    assert shop.ask("HEAD", f"/v2/etl/blobs/{layer}", leaf="ours/beta").status == 200
    assert shop.ask("GET", f"/v2/etl/blobs/{layer}", leaf="ours/beta").body == b"a layer"


def test_a_user_reaches_nothing_but_the_registrys_own_paths(shop: Shop) -> None:
    assert shop.ask("GET", "/debug/vars", login=LOGIN).status == 404


def test_clients_are_told_that_a_registry_refuses_them(shop: Shop) -> None:
    refused = shop.ask("GET", "/v2/")
    assert refused.status == 401
    assert refused.headers["docker-distribution-api-version"] == "registry/2.0"


def test_the_log_has_who_pushed_and_who_was_refused_and_no_password(shop: Shop) -> None:
    shop.ask("POST", "/v2/logged/blobs/uploads/", login=LOGIN)
    shop.ask("POST", "/v2/refused/blobs/uploads/", leaf="ours/beta")
    shop.ask("GET", "/v2/etl/manifests/1", leaf="ours/beta", Accept=MANIFEST)
    lines = shop.logged("/v2/refused/")
    assert any('identity="" user="ci" POST "/v2/logged/blobs/uploads/" 202' in line for line in lines)
    assert any('identity="beta" user="" POST "/v2/refused/blobs/uploads/" 401' in line for line in lines)
    assert not any('GET "/v2/etl/manifests/1" 200' in line for line in lines)
    assert "correct horse" not in "".join(lines)
