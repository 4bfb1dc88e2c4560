"""What a revoked identity may hold open, by what it is for."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from dagfleet.fleet.model import Registry
from dagfleet.phases.revoking import as_haproxy_says, flows
from dagfleet.phases.work import Work
from dagfleet.pki.register import Issued
from hypothesis import given
from hypothesis import strategies as st


def issued(label: str) -> Issued:
    owner, name = label.split("/")
    return Issued(
        serial=1,
        fingerprint="",
        generation=1,
        name=name,
        host=None if owner == "operator" else owner,
        identity="",
        not_after=datetime(2027, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("labels", "backends"),
    [
        (["alpha/launcher", "operator/reader"], ["dockerd"]),
        (["alpha/gateway"], ["location-.*"]),
        (["beta/mesh-client"], ["database"]),
        (["beta/mesh-server"], ["db", "grpc-.*"]),
        (["beta/docker-server"], []),
        (["gone/mesh-client"], ["database", "dockerd", "location-.*"]),
        (["alpha/gateway", "beta/mesh-client"], ["database", "location-.*"]),
    ],
)
def test_only_what_a_revoked_identity_could_open_is_ended(
    work: Work, labels: list[str], backends: list[str]
) -> None:
    assert flows(work, [issued(label) for label in labels]) == backends


def test_a_hosts_certificate_may_have_opened_the_registry_where_there_is_one(work: Work) -> None:
    with_registry = work.fleet.model_copy(update={"registry": Registry(users="secret://ci")})
    work.fleet_file = replace(work.fleet_file, fleet=with_registry)
    assert flows(work, [issued("beta/mesh-client")]) == ["database", "registry"]
    assert flows(work, [issued("gone/mesh-client")]) == ["database", "dockerd", "location-.*", "registry"]


@given(serial=st.integers(1, (1 << 159) - 1))
def test_a_serial_is_written_as_it_stands_in_the_certificate(serial: int) -> None:
    """DER: the fewest bytes that keep the number positive."""
    written = bytes.fromhex(as_haproxy_says(serial))
    assert int.from_bytes(written, "big", signed=True) == serial
    assert len(written) == 1 or written[0] != 0 or written[1] >= 0x80
    assert as_haproxy_says(serial).isupper() or as_haproxy_says(serial).isdigit()
