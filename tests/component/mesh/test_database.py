"""The database is reached by hosts of the fleet, each from its own containers, and by nobody else."""

from collections.abc import Iterator

import pytest

from tests.component.mesh.conftest import ADDRESSES, Mesh, wait_until
from tests.component.mesh.databases import plain, serving, who_answers


@pytest.fixture(scope="module", autouse=True)
def database(mesh: Mesh) -> Iterator[None]:
    with serving(mesh.ports["postgres"], "alpha's"):
        # Beta looks every few seconds who has an open database.
        wait_until(lambda: who_answers(plain(mesh)), "the database")
        yield


def test_a_hosts_own_containers_reach_it_in_plain(mesh: Mesh) -> None:
    assert who_answers(plain(mesh)) == "alpha's"


def test_others_do_not_by_way_of_that_host(mesh: Mesh) -> None:
    assert who_answers(plain(mesh, source=ADDRESSES["gamma"])) == ""


@pytest.mark.parametrize(("identity", "answer"), [("beta", "alpha's"), ("gateway", "")])
def test_only_hosts_reach_it_over_the_mesh(mesh: Mesh, identity: str, answer: str) -> None:
    assert who_answers(mesh.connection("alpha", "mesh", identity, name="db.dagfleet")) == answer


def test_the_control_host_serves_no_code_under_that_identity(mesh: Mesh) -> None:
    assert mesh.greeting("alpha", "beta", "etl.grpc.dagfleet") == b""
