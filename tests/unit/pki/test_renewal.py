"""A leaf is issued again when the fleet changed, when its keys changed, or in good time before it expires."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities, inspect, needs_renewal

Spec = Callable[..., CertificateSpec]


@pytest.mark.parametrize(("age", "renewed"), [(0, False), (59, False), (61, True), (89, True)])
def test_a_leaf_of_ninety_days_is_renewed_when_thirty_are_left(
    shared_authorities: Authorities, now: datetime, spec: Spec, age: int, renewed: bool
) -> None:
    facts = inspect(shared_authorities.issue(spec(), 90)[1])

    reason = needs_renewal(facts, spec(), now + timedelta(days=age))

    assert (reason is not None) == renewed
    assert not renewed or reason == f"it has {90 - age} days left"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ip_addresses": ("10.0.1.9",)}, "it lacks the name 10.0.1.9"),
        ({"dns_names": ("beta", "b.example.com")}, "it lacks the name b.example.com"),
        ({"dns_names": ()}, "it still has the name beta"),
        ({"common_name": "gamma"}, "it names beta, not gamma"),
        ({"usage": "client"}, "it is not for use as a client"),
        ({"authority": "docker"}, "it was signed by lab mesh g1, not by the docker authority"),
    ],
)
def test_a_changed_fleet_renews_a_leaf_and_says_why(
    shared_authorities: Authorities, now: datetime, spec: Spec, changes: dict[str, str], reason: str
) -> None:
    facts = inspect(shared_authorities.issue(spec(), 90)[1])

    assert needs_renewal(facts, spec(**changes), now) == reason


def test_the_order_of_names_does_not_renew_a_leaf(
    shared_authorities: Authorities, now: datetime, spec: Spec
) -> None:
    facts = inspect(shared_authorities.issue(spec(dns_names=("a", "b")), 90)[1])

    assert needs_renewal(facts, spec(dns_names=("b", "a")), now) is None


def test_expired_and_not_yet_valid_leaves_are_renewed(
    shared_authorities: Authorities, now: datetime, spec: Spec
) -> None:
    facts = inspect(shared_authorities.issue(spec(), 90)[1])

    assert needs_renewal(facts, spec(), now + timedelta(days=91)) == "it expired on 2027-02-19"
    assert (
        needs_renewal(facts, spec(), now - timedelta(days=1)) == "it is not valid before 2026-11-21 11:00 UTC"
    )


def test_a_recreated_authority_of_the_same_name_renews_its_leaves(
    shared_authorities: Authorities, now: datetime, spec: Spec, store: Path
) -> None:
    facts = inspect(shared_authorities.issue(spec(), 90)[1])
    ours, others = (
        authorities.key_identifiers("mesh") for authorities in (shared_authorities, Authorities.load(store))
    )

    assert needs_renewal(facts, spec(), now, authority_keys=ours) is None
    reason = needs_renewal(facts, spec(), now, authority_keys=others)
    assert reason == "the mesh authority has another key now"


def test_a_host_with_a_new_key_gets_a_new_leaf(
    shared_authorities: Authorities, now: datetime, spec: Spec
) -> None:
    facts = inspect(shared_authorities.issue(spec(), 90)[1])

    assert needs_renewal(facts, spec(), now, key_fingerprint=facts.key_fingerprint) is None
    assert needs_renewal(facts, spec(), now, key_fingerprint="00" * 32) == "its owner has another key now"
