"""Whatever a leaf is for, OpenSSL judges it as we do: chain, purpose, names, time, revocation."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities, inspect
from dagfleet.pki.facts import unusable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = datetime.now(UTC)
LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
SPECS = st.builds(
    CertificateSpec,
    name=st.just("leaf"),
    host=st.none(),
    authority=st.sampled_from(["docker", "mesh"]),
    common_name=LABEL,
    dns_names=st.lists(LABEL, max_size=3, unique=True).map(tuple),
    ip_addresses=st.lists(st.ip_addresses().map(str), max_size=2, unique=True).map(tuple),
    usage=st.sampled_from(["server", "client"]),
)
OTHER = {"docker": "mesh", "mesh": "docker", "server": "client", "client": "server"}
# Each example starts openssl: a few dozen say what thousands would.
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Verify = Callable[..., bool]


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities.create(tmp_path_factory.mktemp("store") / "pki", "lab", "a passphrase", 10)


@pytest.fixture
def verify(authorities: Authorities, tmp_path: Path) -> Verify:
    """Ask openssl whether a leaf is good under an authority's `ca.crt` and `ca.crl`."""

    def ask(leaf: bytes, authority: str, *options: str, folder: Path = authorities.directory) -> bool:
        (tmp_path / "leaf.crt").write_bytes(leaf)
        pki = folder / authority
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-crl_check", "-CRLfile", str(pki / "ca.crl"),
             "-CAfile", str(pki / "ca.crt"), "-no-CApath", *options, str(tmp_path / "leaf.crt")],
            capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        return done.returncode == 0

    return ask


@few
@given(spec=SPECS)
def test_a_leaf_is_good_under_its_authority_for_its_use_alone(
    authorities: Authorities, verify: Verify, spec: CertificateSpec
) -> None:
    leaf = authorities.issue(spec, 90)[1]
    facts = inspect(leaf)
    for authority in ("docker", "mesh"):
        for usage in ("server", "client"):
            asked = CertificateSpec(**{**vars(spec), "authority": authority, "usage": usage})
            ours = unusable(facts, asked, NOW, authority_keys=authorities.key_identifiers(authority)) is None
            assert verify(leaf, authority, "-purpose", f"ssl{usage}") == ours
            assert ours == ((authority, usage) == (spec.authority, spec.usage))


@few
@given(spec=SPECS, other=LABEL, address=st.ip_addresses().map(str))
def test_a_leaf_answers_to_its_names_and_to_no_others(
    authorities: Authorities, verify: Verify, spec: CertificateSpec, other: str, address: str
) -> None:
    leaf = authorities.issue(spec, 90)[1]
    facts = inspect(leaf)
    for option, names, has in (
        ("-verify_hostname", {*spec.dns_names, other}, facts.dns_names),
        ("-verify_ip", {*spec.ip_addresses, address}, facts.ip_addresses),
    ):
        for name in names:
            # Without any name OpenSSL looks at the subject; a fleet's servers all have some.
            if spec.dns_names or option == "-verify_ip":
                assert verify(leaf, spec.authority, option, name) == (name in has)


@few
@given(spec=SPECS, days=st.integers(1, 825), moment=st.integers(-3, 830 * 24))
def test_a_leaf_is_good_while_we_say_so(
    authorities: Authorities, spec: CertificateSpec, days: int, moment: int
) -> None:
    leaf = authorities.issue(spec, days)[1]
    at = NOW.replace(microsecond=0) + timedelta(hours=moment, minutes=30)
    ours = unusable(inspect(leaf), spec, at) is None
    # A list is only looked at as of now: what it says of other times is another question.
    options = ("-attime", str(int(at.timestamp())))
    assert _valid(leaf, authorities.directory / spec.authority, options) == ours


@few
@given(spec=SPECS, revoked=st.booleans())
def test_a_revoked_leaf_is_bad_and_every_other_is_good(
    authorities: Authorities, verify: Verify, spec: CertificateSpec, revoked: bool
) -> None:
    leaf, another = (authorities.issue(spec, 90)[1] for _ in range(2))
    facts = inspect(leaf)
    if revoked:
        authorities.revoke(spec.authority, [facts.serial])
    ours = unusable(facts, spec, datetime.now(UTC), revoked=authorities.revoked(spec.authority)) is None
    assert verify(leaf, spec.authority) == ours == (not revoked)
    assert verify(another, spec.authority)


def test_during_a_rotation_leaves_of_both_generations_are_good_and_after_it_one(
    verify: Verify, tmp_path: Path
) -> None:
    store = Authorities.create(tmp_path / "pki", "lab", "a passphrase", 10)
    spec = CertificateSpec(name="leaf", host=None, authority="mesh", common_name="beta", usage="client")
    old = store.issue(spec, 90)[1]
    rotation = store.begin_rotation("mesh", "a passphrase", years=10, who="")
    seen = []
    step = rotation
    while step:
        store.enter("mesh", step)
        new = store.issue(spec, 90)[1]
        seen.append(
            (verify(old, "mesh", folder=store.directory), verify(new, "mesh", folder=store.directory))
        )
        following = step.following()
        if following is None:
            break
        step = following
    assert seen == [(True, True), (True, True), (True, True), (False, True)]


def _valid(leaf: bytes, pki: Path, options: tuple[str, ...]) -> bool:
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", str(pki / "ca.crt"), "-no-CApath", *options],
        input=leaf, capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    return done.returncode == 0
