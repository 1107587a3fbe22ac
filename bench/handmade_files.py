"""Every file of the stack that handmade.py brings up: certificates and configuration."""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SCOPE = "handmade"


@dataclass(frozen=True)
class Layout:
    """Where everything is; `user` is whom the servers run as, None for ourselves."""

    folder: Path
    network: str
    user: str | None
    postgresql: Path
    passwords: dict[str, str] = field(
        default_factory=lambda: {
            name: secrets.token_urlsafe(24)
            for name in ("etcd-root", "etcd-patroni", "postgres", "replicator", "rewind", "app")
        }
    )

    @functools.cached_property
    def etcds(self) -> dict[str, str]:
        """Name to address."""
        return {f"etcd-{n}": f"{self.network}.{10 + n}" for n in (1, 2, 3)}

    @functools.cached_property
    def members(self) -> dict[str, str]:
        """Name to address."""
        return {f"postgres-{n}": f"{self.network}.{20 + n}" for n in (1, 2, 3)}

    @property
    def balancer(self) -> str:
        """HAProxy's address."""
        return f"{self.network}.31"

    def tls(self, name: str) -> str:
        """The path of a certificate (`.crt`), a key (`.key`) or both (`.pem`)."""
        return str(self.folder / "tls" / name)

    def write(self, name: str, text: str | bytes) -> None:
        """Write a file that only its owner can read."""
        place = self.folder / name
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
        place.chmod(0o600)


# --- certificates -----------------------------------------------------------------------


def certificates(lab: Layout) -> None:
    """One authority and a certificate for each server; the client's has no common name."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SCOPE)])
    sign = functools.partial(_issue, lab, issuer=authority, signer=authority_key)
    sign("ca", subject=authority, key=authority_key)
    names = {name: [address, "127.0.0.1"] for name, address in lab.etcds.items()}
    names |= {name: [address, lab.balancer] for name, address in lab.members.items()}
    names |= {"haproxy": [lab.balancer], "client": []}
    for name, addresses in names.items():
        # etcd refuses a common name through its gateway where client certificates are required
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, SCOPE)])
        sign(
            name, subject=subject, addresses=addresses, key=ec.generate_private_key(ec.SECP256R1())
        )


def _issue(
    lab: Layout,
    name: str,
    *,
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    addresses: Sequence[str] = (),
) -> None:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
    )
    if name != "ca":
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if addresses:
        alternatives: list[x509.GeneralName] = [x509.DNSName(a) for a in addresses]
        alternatives += [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    lab.write(f"tls/{name}.crt", certificate)
    lab.write(f"tls/{name}.key", private)
    lab.write(f"tls/{name}.pem", certificate + private)


# --- configuration ----------------------------------------------------------------------


def etcd_configuration(lab: Layout, name: str) -> dict[str, Any]:
    """One member's configuration file."""
    address = lab.etcds[name]
    tls = {
        "cert-file": lab.tls(f"{name}.crt"),
        "key-file": lab.tls(f"{name}.key"),
        "trusted-ca-file": lab.tls("ca.crt"),
        "client-cert-auth": True,
    }
    return {
        "name": name,
        "data-dir": str(lab.folder / "data" / name),
        "listen-peer-urls": f"https://{address}:2380",
        "initial-advertise-peer-urls": f"https://{address}:2380",
        "listen-client-urls": f"https://{address}:2379",
        "advertise-client-urls": f"https://{address}:2379",
        "initial-cluster": ",".join(f"{n}=https://{a}:2380" for n, a in lab.etcds.items()),
        "initial-cluster-token": SCOPE,
        "initial-cluster-state": "new",
        "heartbeat-interval": 100,
        "election-timeout": 500,
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "quota-backend-bytes": 8589934592,
        "pre-vote": True,
        "enable-grpc-gateway": True,  # off by default where a configuration file is used
        "logger": "zap",
        "client-transport-security": tls,
        "peer-transport-security": tls,
    }


def patroni_configuration(lab: Layout, name: str) -> dict[str, Any]:
    """One member's configuration file."""
    address = lab.members[name]
    tls = {"certfile": lab.tls(f"{name}.crt"), "keyfile": lab.tls(f"{name}.key")}
    listen = {"listen": f"{address}:4443", "connect_address": f"{address}:4443"}
    return {
        "scope": SCOPE,
        "name": name,
        "restapi": {**listen, "cafile": lab.tls("ca.crt"), **tls, "verify_client": "required"},
        "ctl": {"cacert": lab.tls("ca.crt"), **tls},
        "etcd3": {
            "hosts": [f"{endpoint}:2379" for endpoint in lab.etcds.values()],
            "protocol": "https",
            "cacert": lab.tls("ca.crt"),
            "cert": lab.tls("client.crt"),
            "key": lab.tls("client.key"),
            "username": "patroni",
            "password": lab.passwords["etcd-patroni"],
        },
        "bootstrap": {
            "dcs": _dynamic(),
            "initdb": [
                "data-checksums",
                "no-sync",
                {"encoding": "UTF8"},
                {"locale": "C.UTF-8"},
                {"auth-local": "scram-sha-256"},
                {"auth-host": "scram-sha-256"},
            ],
        },
        "postgresql": _postgresql(lab, name, address),
        "watchdog": {"mode": "off"},
    }


def _dynamic() -> dict[str, Any]:
    return {
        "ttl": 20,
        "loop_wait": 1,
        "retry_timeout": 8,
        "maximum_lag_on_failover": 1048576,
        "primary_start_timeout": 0,
        "failsafe_mode": True,
        "synchronous_mode": "quorum",
        "synchronous_mode_strict": True,
        "synchronous_node_count": 1,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {
                "max_connections": 100,
                "shared_buffers": "128MB",
                "wal_log_hints": True,
                "password_encryption": "scram-sha-256",
            },
        },
    }


def _postgresql(lab: Layout, name: str, address: str) -> dict[str, Any]:
    def role(user: str) -> dict[str, str]:
        certificate = {"sslmode": "verify-full", "sslrootcert": lab.tls("ca.crt")}
        return {"username": user, "password": lab.passwords[user], **certificate}

    return {
        "listen": f"{address}:5432",
        "connect_address": f"{address}:5432",
        "data_dir": str(lab.folder / "data" / name),
        "bin_dir": str(lab.postgresql),
        "pgpass": str(lab.folder / f"{name}.pgpass"),
        "use_unix_socket": True,
        "authentication": {
            "superuser": role("postgres"),
            "replication": role("replicator"),
            "rewind": role("rewind"),
        },
        "pg_hba": [
            "local all all scram-sha-256",
            "hostssl all all 127.0.0.0/8 scram-sha-256",
            "hostssl replication replicator 127.0.0.0/8 scram-sha-256",
        ],
        "parameters": {
            "unix_socket_directories": str(lab.folder / "sockets" / name),
            "ssl": True,
            "ssl_cert_file": lab.tls(f"{name}.crt"),
            "ssl_key_file": lab.tls(f"{name}.key"),
            "ssl_ca_file": lab.tls("ca.crt"),
        },
        "basebackup": [{"checkpoint": "fast"}, "no-sync"],
    }


def haproxy_configuration(lab: Layout) -> str:
    """HAProxy's configuration: the primary on 5432, replicas on 5433."""
    check = f"check check-ssl port 4443 verify required ca-file {lab.tls('ca.crt')}"
    servers = "".join(
        f"    server {name} {address}:5432 {check} crt {lab.tls('haproxy.pem')}\n"
        for name, address in lab.members.items()
    )
    timings = "inter 1s fastinter 300ms downinter 300ms fall 3 rise 1"
    listeners = "".join(
        f"listen {name}\n    bind {lab.balancer}:{port}\n    option httpchk\n"
        f"    http-check send meth OPTIONS uri {uri}\n    http-check expect status 200\n"
        f"    default-server {timings} on-marked-down shutdown-sessions\n{servers}"
        for name, port, uri in (("primary", 5432, "/primary"), ("replicas", 5433, "/replica"))
    )
    return (
        "global\n    maxconn 400\n    log stderr format raw local0 info\n"
        "defaults\n    mode tcp\n    log global\n    option redispatch 1\n    retries 2\n"
        "    timeout connect 1s\n    timeout check 2s\n    timeout client 24h\n"
        "    timeout server 24h\n" + listeners
    )


def render(lab: Layout) -> None:
    """Every file and folder, owned by the user that the servers run as."""
    for name in ("tls", "log", "data", *(f"sockets/{member}" for member in lab.members)):
        (lab.folder / name).mkdir(parents=True)
    certificates(lab)
    for name in lab.etcds:
        lab.write(f"{name}.yml", yaml.safe_dump(etcd_configuration(lab, name)))
    for name in lab.members:
        lab.write(f"{name}.yml", yaml.safe_dump(patroni_configuration(lab, name)))
    lab.write("haproxy.cfg", haproxy_configuration(lab))
    if lab.user:
        for place in (lab.folder, *lab.folder.rglob("*")):
            shutil.chown(place, lab.user, lab.user)
