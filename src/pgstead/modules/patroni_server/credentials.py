"""The certificates of a Patroni member, issued or given, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pgstead.certificates import KeyPair
from pgstead.machine import File, path
from pgstead.membership import TlsClient
from pgstead.modules.base import Context
from pgstead.modules.parts.certificates import issue, operator, tls_files
from pgstead.modules.parts.model import reveal
from pgstead.modules.patroni_server.variables import PatroniServer

__all__ = ["Credentials", "credentials"]

FOLDER = "/etc/patroni/tls"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the machine holds, as paths, and what pgstead itself connects with."""

    files: tuple[File, ...]
    paths: Mapping[str, str | None]
    operator: TlsClient


def credentials(variables: PatroniServer, context: Context, address: str) -> Credentials:
    """Certificates from the variables' authority, or those that were made elsewhere."""
    if variables.ca is None:
        return _given(variables)
    return _issued(variables, context, address)


def _issued(variables: PatroniServer, context: Context, address: str) -> Credentials:
    server = issue(
        context,
        variables,
        "server",
        common_name=variables.name,
        hosts=(address, variables.name, *variables.certificate_names),
        server=True,
    )
    # Without a common name: etcd takes one for its user, and refuses it at its gateway.
    client = issue(context, variables, "etcd-client", common_name=None, client=True)
    texts = {
        "ca.crt": server.ca,
        "server.crt": server.certificate,
        "server.key": server.key,
        "etcd-client.crt": client.certificate,
        "etcd-client.key": client.key,
    }
    paths = {
        "client_certificate": _path("etcd-client.crt"),
        "client_key": _path("etcd-client.key"),
        "etcd_ca": _path("ca.crt"),
        "etcd_certificate": _path("etcd-client.crt"),
        "etcd_key": _path("etcd-client.key"),
    }
    return _credentials(texts, paths, operator(context, variables))


def _given(variables: PatroniServer) -> Credentials:
    postgres, patroni = variables.postgres, variables.patroni
    pair = KeyPair(
        certificate=postgres.server_certificate or "",
        key=reveal(postgres.server_key),
        ca=postgres.ca_certificate or "",
    )
    client = patroni.client_certificate or "", reveal(patroni.client_key)
    texts = {
        "ca.crt": pair.ca,
        "server.crt": pair.certificate,
        "server.key": pair.key,
        "patroni-client.crt": client[0],
        "patroni-client.key": client[1],
        "etcd-ca.crt": variables.etcd.ca_cert or "",
    }
    paths = {
        "client_certificate": _path("patroni-client.crt"),
        "client_key": _path("patroni-client.key"),
        "etcd_ca": _path("etcd-ca.crt"),
        "etcd_certificate": None,
        "etcd_key": None,
    }
    return _credentials(texts, paths, TlsClient(ca=pair.ca, certificate=client[0], key=client[1]))


def _credentials(
    texts: dict[str, str], paths: Mapping[str, str | None], tls: TlsClient
) -> Credentials:
    server: dict[str, str | None] = {
        "ca": _path("ca.crt"),
        "server_certificate": _path("server.crt"),
        "server_key": _path("server.key"),
    }
    files = tls_files(FOLDER, texts, owner="postgres", service="patroni")
    return Credentials(files=files, paths={**server, **paths}, operator=tls)


def _path(name: str) -> str:
    return path(f"{FOLDER}/{name}")
