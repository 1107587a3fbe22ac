"""Authorities and certificates: what is asked for is what stands in them."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.verification import PolicyBuilder, Store

from pgstead.certificates import (
    Authority,
    CertificateRequest,
    KeyKind,
    check_authority,
    due,
    end_of,
    issue,
    make_authority,
    matches,
    read,
)
from pgstead.errors import SpecError

NOW = datetime.now(UTC)
REQUEST = CertificateRequest(
    name="postgres-1/server",
    authority="main",
    common_name="postgres-1",
    organization="pgstead",
    addresses=("127.5.0.1", "::1"),
    names=("postgres.local",),
    server=True,
    client=True,
)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("main", "pgstead", now=NOW)


def plain_key(key: serialization.Encoding, private: object) -> str:
    assert isinstance(
        private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    )
    return private.private_bytes(
        key, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def self_made(
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    *,
    ca: bool = True,
) -> Authority:
    """An authority as a user may bring one: without a subject key identifier."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(private, None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA384())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return Authority(pem, plain_key(serialization.Encoding.PEM, private))


def test_every_address_stands_as_address_and_as_name(authority: Authority) -> None:
    found = read(issue(REQUEST, authority, now=NOW).certificate)
    assert found.addresses == ("127.5.0.1", "::1")
    assert found.names == ("127.5.0.1", "::1", "postgres.local")
    assert (found.server, found.client, found.is_authority) == (True, True, False)
    assert found.not_before == (NOW - timedelta(minutes=5)).replace(microsecond=0)
    assert found.not_after == NOW.replace(microsecond=0) + timedelta(days=365)


def test_a_verifier_accepts_the_chain(authority: Authority) -> None:
    pair = issue(REQUEST, authority, now=NOW)
    store = Store([x509.load_pem_x509_certificate(pair.ca.encode())])
    leaf = x509.load_pem_x509_certificate(pair.certificate.encode())
    verifier = (
        PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName("postgres.local"))
    )
    assert len(verifier.verify(leaf, [])) == 2


def test_openssl_loads_pair_and_authority(authority: Authority, tmp_path: object) -> None:
    pair = issue(REQUEST, authority, now=NOW)
    context = ssl.create_default_context(cadata=pair.ca)
    assert len(context.get_ca_certs()) == 1


def test_no_common_name_leaves_the_organization_only(authority: Authority) -> None:
    pair = issue(replace(REQUEST, common_name=None), authority, now=NOW)
    assert read(pair.certificate).subject == "O=pgstead"


@pytest.mark.parametrize("kind", ["ecdsa-p256", "rsa-2048"])
def test_kinds_of_keys(authority: Authority, kind: KeyKind) -> None:
    pair = issue(replace(REQUEST, key=kind), authority, now=NOW)
    assert read(pair.certificate).key == kind
    assert pair.key.startswith("-----BEGIN PRIVATE KEY-----")
    assert make_authority("a", "b", key=kind).key is not None


@pytest.mark.parametrize(
    "private",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["p384", "rsa", "ed25519"],
)
def test_a_users_authority_signs(
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    own = self_made(private)
    check_authority("own", own)
    pair = issue(REQUEST, own, now=NOW)
    leaf = x509.load_pem_x509_certificate(pair.certificate.encode())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(own.certificate.encode()))


def test_the_end_is_never_after_the_authoritys() -> None:
    short = make_authority("main", "pgstead", validity_hours=48, now=NOW)
    end = read(short.certificate).not_after
    assert end_of(REQUEST, short, NOW) == end
    assert read(issue(REQUEST, short, now=NOW).certificate).not_after == end


def test_due(authority: Authority) -> None:
    pem = issue(replace(REQUEST, validity_hours=100), authority, now=NOW).certificate
    assert not due(pem, 50, NOW)
    assert due(pem, 50, NOW + timedelta(hours=51))
    assert due(pem, 0, NOW + timedelta(hours=101))


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, addresses=("127.5.0.1",)),
        replace(REQUEST, addresses=(*REQUEST.addresses, "127.5.0.2")),
        replace(REQUEST, names=()),
        replace(REQUEST, common_name=None),
        replace(REQUEST, organization="other"),
        replace(REQUEST, client=False),
        replace(REQUEST, key="rsa-2048"),
    ],
)
def test_matches_sees_every_difference(authority: Authority, other: CertificateRequest) -> None:
    pem = issue(REQUEST, authority, now=NOW).certificate
    assert matches(pem, REQUEST)
    assert matches(pem, replace(REQUEST, addresses=("0:0::1", "127.5.0.1")))
    assert not matches(pem, other)


def test_errors_name_what_they_are_about(authority: Authority) -> None:
    with pytest.raises(SpecError, match="certificate of certificate authority 'main'"):
        check_authority("main", replace(authority, certificate="rubbish"))
    with pytest.raises(SpecError, match="key of certificate authority 'main' is not a private"):
        check_authority("main", replace(authority, key="rubbish"))
    with pytest.raises(SpecError, match="does not belong to its certificate"):
        check_authority("main", replace(authority, key=make_authority("b", "b").key))
    with pytest.raises(SpecError, match="is not that of an authority"):
        check_authority("own", self_made(ed25519.Ed25519PrivateKey.generate(), ca=False))
    with pytest.raises(SpecError, match="has no key to sign 'postgres-1/server'"):
        issue(REQUEST, Authority(authority.certificate), now=NOW)
    with pytest.raises(SpecError, match="the upload is not a certificate"):
        read("rubbish", "upload")


def test_a_bad_key_is_not_quoted(authority: Authority) -> None:
    with pytest.raises(SpecError) as caught:
        check_authority("main", replace(authority, key="-----BEGIN PRIVATE KEY-----\nhunter2"))
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_encrypted_and_unsuitable_keys(authority: Authority) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    encrypted = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    ).decode()
    with pytest.raises(SpecError, match="encrypted with a passphrase"):
        check_authority("main", replace(authority, key=encrypted))
    unfit = dsa.generate_private_key(2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(SpecError, match="cannot sign"):
        check_authority("main", replace(authority, key=unfit.decode()))


def test_impossible_names(authority: Authority) -> None:
    with pytest.raises(SpecError, match=r"'nowhere' .*is not an IP address"):
        issue(replace(REQUEST, addresses=("nowhere",)), authority, now=NOW)
    with pytest.raises(SpecError, match="is not a DNS name"):
        issue(replace(REQUEST, names=("bücher.example",)), authority, now=NOW)
    with pytest.raises(SpecError, match="cannot stand in a certificate"):
        issue(replace(REQUEST, common_name="x" * 65), authority, now=NOW)


def test_an_authority_outside_its_period() -> None:
    short = make_authority("main", "pgstead", validity_hours=1, now=NOW)
    with pytest.raises(SpecError, match="'main' ended at"):
        issue(REQUEST, short, now=NOW + timedelta(hours=2))
    with pytest.raises(SpecError, match="'main' is valid only from"):
        issue(REQUEST, short, now=NOW - timedelta(hours=2))


def test_keys_stay_out_of_reprs(authority: Authority) -> None:
    pair = issue(REQUEST, authority, now=NOW)
    assert "PRIVATE" not in repr(pair) + repr(authority)
