"""TLS from PEM texts in memory: nothing secret stays on a disk."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from pgstead.errors import ClientError
from pgstead.membership import TlsClient


@contextmanager
def pem_file(text: str) -> Iterator[str]:
    """A path under which `text` can be read by this process while the context lasts.

    Some interfaces take certificates by path only. On Linux the path leads to memory;
    elsewhere to a file in a private folder, removed at the end.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pem")
        try:
            _write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pem")
        path.touch(mode=0o600)
        path.write_text(text)
        yield str(path)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@lru_cache(maxsize=64)
def client_context(client: TlsClient) -> ssl.SSLContext:
    """A context that trusts the client's authority alone and shows its certificate.

    Raises `ClientError` if a text is no PEM, or certificate and key do not match.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=client.ca)
        with pem_file(f"{client.certificate}\n{client.key}") as path:
            context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        raise ClientError(
            f"the operator's certificate cannot be used: {error}",
            hint="see the certificates in the stack's materials",
        ) from None
    return context


def expired_or_untrusted(error: BaseException) -> str | None:
    """The reason in words if a connection failed since a certificate was not accepted."""
    with suppress(AttributeError):
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {error.verify_message}"
    return None
