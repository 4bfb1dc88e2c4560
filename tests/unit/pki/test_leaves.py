"""Whatever fleet.yml asks for, a leaf says exactly that and nothing more."""

from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities, inspect
from hypothesis import given
from hypothesis import strategies as st

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
SPECS = st.builds(
    CertificateSpec,
    name=LABEL,
    host=LABEL,
    authority=st.sampled_from(["docker", "mesh"]),
    common_name=LABEL,
    dns_names=st.lists(
        st.builds(".".join, st.lists(LABEL, min_size=1, max_size=3)), max_size=4, unique=True
    ).map(tuple),
    ip_addresses=st.lists(st.ip_addresses(v=4).map(str), max_size=3, unique=True).map(tuple),
    usage=st.sampled_from(["server", "client"]),
)
DAYS = st.integers(min_value=1, max_value=825)


def issued(authorities: Authorities, spec: CertificateSpec, days: int) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authorities.issue(spec, days)[1])


def authority(authorities: Authorities, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authorities.certificate(name))


@given(spec=SPECS, days=DAYS)
def test_a_leaf_chains_to_its_own_authority_and_to_no_other(
    shared_authorities: Authorities, spec: CertificateSpec, days: int
) -> None:
    leaf = issued(shared_authorities, spec, days)
    own = authority(shared_authorities, spec.authority)
    other = authority(shared_authorities, "mesh" if spec.authority == "docker" else "docker")

    leaf.verify_directly_issued_by(own)
    assert leaf.issuer != other.subject
    own_identifier = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    named = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert named == own_identifier


@given(spec=SPECS, days=DAYS)
def test_a_leaf_has_the_names_of_its_specification_and_only_those(
    shared_authorities: Authorities, spec: CertificateSpec, days: int
) -> None:
    facts = inspect(shared_authorities.issue(spec, days)[1])

    assert facts.common_name == spec.common_name
    assert facts.dns_names == spec.dns_names
    assert facts.ip_addresses == spec.ip_addresses


@given(spec=SPECS, days=DAYS)
def test_a_leaf_may_be_used_for_one_thing(
    shared_authorities: Authorities, spec: CertificateSpec, days: int
) -> None:
    extensions = issued(shared_authorities, spec, days).extensions

    usage = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}[spec.usage]
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    key_usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert key_usage.critical
    assert key_usage.value.digital_signature
    assert not (key_usage.value.key_cert_sign)
    assert not (key_usage.value.crl_sign)
    assert not (key_usage.value.key_encipherment)
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca


@given(spec=SPECS, days=DAYS)
def test_a_leaf_is_valid_from_an_hour_ago_for_the_days_asked(
    shared_authorities: Authorities, now: datetime, spec: CertificateSpec, days: int
) -> None:
    leaf = issued(shared_authorities, spec, days)

    assert leaf.not_valid_before_utc == now - timedelta(hours=1)
    assert leaf.not_valid_after_utc == now + timedelta(days=days)


@given(specs=st.lists(SPECS, min_size=2, max_size=5))
def test_serials_are_positive_fit_twenty_bytes_and_never_repeat(
    shared_authorities: Authorities, specs: list[CertificateSpec]
) -> None:
    serials = [issued(shared_authorities, spec, 90).serial_number for spec in specs]

    assert len(set(serials)) == len(serials)
    assert all(0 < serial < 1 << 159 for serial in serials)
    assert max(serials) > 1 << 100


def test_a_leaf_never_outlives_its_authority(
    shared_authorities: Authorities, spec: Callable[..., CertificateSpec]
) -> None:
    leaf = issued(shared_authorities, spec(), 365 * 20)

    assert leaf.not_valid_after_utc == authority(shared_authorities, "mesh").not_valid_after_utc


def test_authorities_may_sign_leaves_and_nothing_below(shared_authorities: Authorities) -> None:
    for name in ("docker", "mesh"):
        certificate = authority(shared_authorities, name)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)

        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
        assert usage.critical
        assert usage.value.key_cert_sign
        assert usage.value.crl_sign
        assert not usage.value.digital_signature
        assert certificate.subject.rfc4514_string() == f"CN=lab {name} g1,O=dagfleet"
        assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def test_a_request_gives_its_key_and_nothing_else(
    shared_authorities: Authorities, spec: Callable[..., CertificateSpec]
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "launcher")]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("evil.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )

    leaf = x509.load_pem_x509_certificate(shared_authorities.sign_request(greedy, spec(), 90))

    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert leaf.public_key() == key.public_key()
    assert leaf.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "beta")])
    assert list(names) == [x509.DNSName("beta"), x509.IPAddress(ip_address("10.0.1.2"))]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert inspect(leaf.public_bytes(serialization.Encoding.PEM)).usages == ("server",)
