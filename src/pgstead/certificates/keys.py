"""Private keys: made, read and written as PKCS #8 PEM."""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from pgstead.certificates.types import KeyKind
from pgstead.errors import SpecError

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
_SIGNERS = (
    ec.EllipticCurvePrivateKey,
    rsa.RSAPrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)


def make_key(kind: KeyKind) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """A new private key from the operating system's random source."""
    if kind == "ecdsa-p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.split("-")[1]))


def key_pem(key: PrivateKey) -> str:
    """The key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@lru_cache(maxsize=64)
def load_key(pem: str, what: str) -> PrivateKey:
    """The private key in `pem`; `what` names it in the `SpecError` for one that is no key."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError as error:
        raise SpecError(
            f"the {what} is encrypted with a passphrase",
            hint="decrypt it first, e.g. `openssl pkey -in FILE -out FILE.plain`",
        ) from error
    except (ValueError, UnsupportedAlgorithm):
        # Not chained: a parser's words may quote what it could not read.
        raise SpecError(
            f"the {what} is not a private key in PEM",
            hint="it begins with a line `-----BEGIN PRIVATE KEY-----` or the like",
        ) from None
    if not isinstance(key, _SIGNERS):
        raise SpecError(
            f"the {what} is of a kind that cannot sign certificates",
            hint="RSA, EC (P-256, P-384, P-521) and Ed25519 keys can",
        )
    return key


def signature_hash(key: PrivateKey) -> hashes.SHA256 | None:
    """The hash a signature by `key` takes; the Edwards curves bring their own."""
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return None
    return hashes.SHA256()


def key_kind(public: object) -> str:
    """The name of a public key's algorithm, as in `KeyKind`."""
    if isinstance(public, rsa.RSAPublicKey):
        return f"rsa-{public.key_size}"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return "ecdsa-p256" if public.curve.name == "secp256r1" else f"ecdsa-{public.curve.name}"
    return type(public).__name__.removesuffix("PublicKey").lower()
