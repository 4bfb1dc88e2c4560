"""What was signed is written down, so that it can be revoked."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.errors import ConfigurationError
from dagfleet.pki import Authorities, inspect, needs_renewal
from dagfleet.pki.finding import named
from dagfleet.pki.register import Issued, Register
from hypothesis import given
from hypothesis import strategies as st

Spec = Callable[..., CertificateSpec]
LEAVES = st.lists(
    st.builds(
        Issued,
        serial=st.integers(1, (1 << 159) - 1),
        fingerprint=st.text("0123456789abcdef", min_size=64, max_size=64),
        generation=st.integers(1, 9),
        name=st.sampled_from(["mesh-client", "reader"]),
        host=st.sampled_from([None, "beta"]),
        identity=st.sampled_from(["beta", "reader"]),
        not_after=st.datetimes(datetime(2027, 1, 1), datetime(2029, 1, 1)),
    ),
    max_size=6,
    unique_by=lambda leaf: leaf.serial,
)


@pytest.fixture
def opened(store: Path, passphrase: str, now: datetime) -> Authorities:
    return Authorities.load(store, clock=lambda: now).unlock(passphrase)


def crl(store: Path, authority: str = "mesh") -> x509.CertificateRevocationList:
    return x509.load_pem_x509_crl((store / authority / "ca.crl").read_bytes())


def test_a_new_authority_has_an_empty_list_that_lasts_as_long_as_itself(store: Path) -> None:
    """A verifier refuses everybody once a list has run out."""
    certificate = x509.load_pem_x509_certificate((store / "mesh/ca.crt").read_bytes())
    assert list(crl(store)) == []
    assert crl(store).next_update_utc == certificate.not_valid_after_utc
    assert crl(store).is_signature_valid(certificate.public_key())  # type: ignore[arg-type]


def test_a_revoked_leaf_is_on_its_authoritys_list_and_on_no_other(
    opened: Authorities, store: Path, spec: Spec, now: datetime
) -> None:
    facts = inspect(opened.issue(spec(), 90)[1])
    opened.revoke("mesh", [facts.serial])
    assert [entry.serial_number for entry in crl(store)] == [facts.serial]
    assert list(crl(store, "docker")) == []
    assert opened.revoked("mesh") == {facts.serial}
    assert needs_renewal(facts, spec(), now, revoked=opened.revoked("mesh")) == "it was revoked"


def test_lists_grow_and_forget_what_has_run_out(
    store: Path, passphrase: str, spec: Spec, now: datetime
) -> None:
    early = Authorities.load(store, clock=lambda: now).unlock(passphrase)
    first, second = (inspect(early.issue(spec(), days)[1]).serial for days in (10, 90))
    early.revoke("mesh", [first])
    early.revoke("mesh", [second])
    assert {entry.serial_number for entry in crl(store)} == {first, second}
    later = Authorities.load(store, clock=lambda: now + timedelta(days=11)).unlock(passphrase)
    third = inspect(later.issue(spec(), 90)[1]).serial
    later.revoke("mesh", [third])
    assert {entry.serial_number for entry in crl(store)} == {second, third}


def test_a_lost_list_is_written_again_with_everything_in_it(
    opened: Authorities, store: Path, passphrase: str, spec: Spec
) -> None:
    serial = inspect(opened.issue(spec(), 90)[1]).serial
    opened.revoke("mesh", [serial])
    (store / "mesh/ca.crl").unlink()
    assert Authorities.load(store).unlock(passphrase).revoked("mesh") == {serial}


def test_during_a_rotation_leaves_of_both_generations_can_be_revoked(
    opened: Authorities, passphrase: str, spec: Spec
) -> None:
    old = inspect(opened.issue(spec(), 90)[1])
    rotation = opened.begin_rotation("mesh", passphrase, years=10, who="")
    opened.enter("mesh", rotation)
    following = rotation.following()
    assert following
    opened.enter("mesh", following)
    new = inspect(opened.issue(spec(), 90)[1])
    assert (old.issuer, new.issuer) == ("lab mesh g1", "lab mesh g2")
    opened.revoke("mesh", [old.serial, new.serial])
    assert opened.revoked("mesh") == {old.serial, new.serial}


@given(leaves=LEAVES)
def test_the_register_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, leaves: list[Issued]
) -> None:
    register = Register(tmp_path_factory.mktemp("register") / "issued.jsonl")
    for leaf in leaves:
        register.add(leaf)
    assert register.entries() == tuple(leaves)
    when = datetime(2026, 12, 1)
    register.revoke([leaf.serial for leaf in leaves[::2]], when)
    register.revoke([leaf.serial for leaf in leaves[::2]], datetime(2027, 12, 1))
    assert [leaf.revoked for leaf in register.entries()] == [
        when if number % 2 == 0 else None for number in range(len(leaves))
    ]


@pytest.mark.parametrize("kept", [1, 40, 120])
def test_a_line_that_a_crash_cut_short_is_no_entry_and_spoils_no_other(
    opened: Authorities, store: Path, spec: Spec, kept: int
) -> None:
    opened.issue(spec(), 90)
    opened.issue(spec(), 90)
    path = store / "mesh/issued.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    third = inspect(opened.issue(spec(), 90)[1])
    assert [leaf.serial for leaf in opened.issued("mesh")][1:] == [third.serial]


def test_a_name_means_an_identity_a_certificate_or_a_fingerprint(opened: Authorities, spec: Spec) -> None:
    client = spec(name="mesh-client", usage="client", dns_names=(), ip_addresses=())
    for each in (spec(), client, client, spec(host="gamma", common_name="gamma")):
        opened.issue(each, 90)
    leaves = opened.issued("mesh")
    assert named("beta", leaves) == [*leaves[:3]]
    assert named("beta/mesh-client", leaves) == [*leaves[1:3]]
    digits = leaves[2].fingerprint
    shown = ":".join(digits[at : at + 2] for at in range(0, 12, 2)).upper()
    assert named(shown, leaves) == named(digits[:12], leaves) == [leaves[2]]
    with pytest.raises(ConfigurationError, match='no certificate is called "beta/mesh-clint"') as raised:
        named("beta/mesh-clint", leaves)
    assert raised.value.fix == 'did you mean "beta/mesh-client"?'
    with pytest.raises(ConfigurationError):
        named(digits[:7], leaves)
