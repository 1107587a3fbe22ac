"""Real etcd and Patroni servers in a temporary folder, without any of pgstead's platforms.

They listen on loopback addresses of their own and are ended by their process ids.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pgstead.membership import (
    Database,
    EtcdAccess,
    EtcdMember,
    EtcdUser,
    PatroniMember,
    PostgresAccess,
    Role,
    TlsClient,
)

USER = "postgres"
SETTINGS: dict[str, Any] = {
    "ttl": 20,
    "loop_wait": 1,
    "retry_timeout": 8,
    "primary_start_timeout": 0,
    "synchronous_mode": "quorum",
    "synchronous_mode_strict": True,
    "synchronous_node_count": 1,
    "failsafe_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {"max_connections": 60, "shared_buffers": "32MB", "work_mem": "4MB"},
    },
}


def missing() -> str | None:
    """Why the servers cannot be started here, if so."""
    if os.geteuid() != 0:
        return "needs root to start servers as another user"
    for program in ("etcd", "haproxy"):
        if shutil.which(program, path="/usr/bin:/usr/sbin") is None:
            return f"{program} is not installed"
    return None if postgres_folder() else "PostgreSQL is not installed"


def postgres_folder() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    return folders[-1] if folders else None


def claimed_net() -> tuple[str, socket.socket]:
    """The first two octets of a /16 that nobody uses, and what holds it, whatever is down."""
    for second in range(180, 250):
        with suppress(OSError), ExitStack() as held:
            claim = held.enter_context(socket.create_server((f"127.{second}.0.1", 2379)))
            for port in (2379, 4443, 5432):
                socket.create_server((f"127.{second}.0.11", port)).close()
            held.pop_all()
            return f"127.{second}", claim
    raise RuntimeError("no free loopback network")


class Authority:
    """A certificate authority for a test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        builder = self._builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        certificate = builder.sign(self.key, hashes.SHA256())
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    def issue(self, addresses: tuple[str, ...] = ()) -> tuple[str, str]:
        """A certificate without common name, and its key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "test")])
        usage = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        builder = self._builder(subject, key).add_extension(usage, critical=False)
        if addresses:
            names = [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


class Lab:
    """Servers by machine name: `etcd-N`, `pg-N` and `lb-1`."""

    def __init__(self, folder: Path, *, scope: str = "lab", patroni: int = 2) -> None:
        self.folder, self.scope = folder, scope
        self.net, self._claim = claimed_net()
        self.patroni_members = patroni
        self.authority = Authority()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        account = pwd.getpwnam(USER)
        self.owner = (account.pw_uid, account.pw_gid)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        os.chown(folder, *self.owner)
        self.operator = TlsClient(self.authority.pem, *self.authority.issue())

    # -- what the machines are part of

    def address(self, name: str) -> str:
        kind, number = name.split("-")
        return f"{self.net}.0.{ {'etcd': 10, 'pg': 20, 'lb': 30}[kind] + int(number) }"

    def etcd_member(self, name: str) -> EtcdMember:
        users = (EtcdUser("patroni", "etcd-patroni-secret", (f"/service/{self.scope}/",)),)
        access = EtcdAccess("etcd-root-secret", users) if name == "etcd-1" else None
        return EtcdMember(self.scope, name, self.address(name), self.operator, access=access)

    def patroni_member(
        self, name: str, settings: Mapping[str, Any] = SETTINGS, **passwords: str
    ) -> PatroniMember:
        roles = (
            Role("postgres", passwords.get("superuser", "super-secret"), True, False, True),
            Role("replicator", "replication-secret", False, True, True),
            Role("app", passwords.get("app", "app-secret")),
        )
        return PatroniMember(
            scope=self.scope,
            namespace="/service/",
            name=name,
            address=self.address(name),
            operator=self.operator,
            settings=settings,
            access=PostgresAccess(roles, (Database("app", "app"),)),
            etcd_cluster=self.scope,
        )

    # -- files and processes

    def path(self, name: str) -> Path:
        return self.folder / name

    def write(self, name: str, file: str, text: str) -> Path:
        path = self.path(name) / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        for place in (path.parent, path):
            os.chown(place, *self.owner)
        return path

    def certificates(self, name: str, *more: str) -> dict[str, str]:
        certificate, key = self.authority.issue((self.address(name), "127.0.0.1", *more))
        pem = certificate + key
        texts = {"ca": self.authority.pem, "crt": certificate, "key": key, "pem": pem}
        return {kind: str(self.write(name, f"tls.{kind}", text)) for kind, text in texts.items()}

    def spawn(self, name: str, argv: list[str]) -> None:
        with (self.path(name) / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=USER,
                group=USER,
                extra_groups=[],
                cwd=self.path(name),
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(self.path(name))},
            )

    def end(self, name: str, sig: int = signal.SIGTERM) -> None:
        """End a machine's processes, PostgreSQL's included, and see them gone."""
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.send_signal(sig)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        self._end_postmaster(name)

    def _end_postmaster(self, name: str) -> None:
        try:
            pid = int((self.path(name) / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGQUIT)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                os.kill(pid, 0)
                time.sleep(0.05)
        except (OSError, ValueError, IndexError):
            return

    def start(self, name: str, **options: str) -> None:
        kind = name.partition("-")[0]
        {"etcd": self._etcd, "pg": self._patroni, "lb": self._haproxy}[kind](name, **options)

    def _etcd(self, name: str, state: str = "new", initial: str = "") -> None:
        address, tls = self.address(name), self.certificates(name)
        first = ",".join(f"etcd-{n}=https://{self.address(f'etcd-{n}')}:2380" for n in (1, 2, 3))
        options = {
            "name": name,
            "data-dir": f"{self.path(name)}/data",
            "listen-peer-urls": f"https://{address}:2380",
            "initial-advertise-peer-urls": f"https://{address}:2380",
            "listen-client-urls": f"https://{address}:2379",
            "advertise-client-urls": f"https://{address}:2379",
            "initial-cluster": initial or first,
            "initial-cluster-state": state,
            "initial-cluster-token": self.scope,
            "cert-file": tls["crt"],
            "key-file": tls["key"],
            "trusted-ca-file": tls["ca"],
            "client-cert-auth": "true",
            "peer-cert-file": tls["crt"],
            "peer-key-file": tls["key"],
            "peer-trusted-ca-file": tls["ca"],
            "peer-client-cert-auth": "true",
            "heartbeat-interval": "100",
            "election-timeout": "500",
            "logger": "zap",
        }
        self.spawn(name, ["/usr/bin/etcd", *(f"--{key}={v}" for key, v in options.items())])

    def patroni_config(self, name: str) -> dict[str, Any]:
        address, tls = self.address(name), self.certificates(name, self.address("lb-1"))
        data, folder = f"{self.path(name)}/data", self.path(name)
        member = self.patroni_member(name)
        verify = {"sslmode": "verify-full", "sslrootcert": tls["ca"]}
        users = {"superuser": member.access.roles[0], "replication": member.access.roles[1]}
        return {
            "scope": self.scope,
            "namespace": "/service/",
            "name": name,
            "restapi": {
                "listen": f"{address}:4443",
                "connect_address": f"{address}:4443",
                "cafile": tls["ca"],
                "certfile": tls["crt"],
                "keyfile": tls["key"],
                "verify_client": "required",
            },
            "ctl": {"cacert": tls["ca"], "certfile": tls["crt"], "keyfile": tls["key"]},
            "etcd3": {
                "hosts": [f"{self.address(f'etcd-{n}')}:2379" for n in (1, 2, 3)],
                "protocol": "https",
                "cacert": tls["ca"],
                "cert": tls["crt"],
                "key": tls["key"],
                "username": "patroni",
                "password": "etcd-patroni-secret",
            },
            "bootstrap": {
                "dcs": SETTINGS,
                "initdb": ["data-checksums", "no-sync", {"auth": "scram-sha-256"}],
            },
            "postgresql": {
                "listen": f"{address}:5432",
                "connect_address": f"{address}:5432",
                "data_dir": data,
                "bin_dir": str(postgres_folder()),
                "pgpass": f"{folder}/pgpass",
                "authentication": {
                    key: {"username": role.name, "password": role.password, **verify}
                    for key, role in users.items()
                },
                "pg_hba": [
                    "hostssl all all 127.0.0.0/8 scram-sha-256",
                    "hostssl replication replicator 127.0.0.0/8 scram-sha-256",
                ],
                "parameters": {
                    "unix_socket_directories": "",
                    "ssl": "on",
                    "ssl_cert_file": tls["crt"],
                    "ssl_key_file": tls["key"],
                    "ssl_ca_file": tls["ca"],
                },
                "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            },
        }

    def _patroni(self, name: str) -> None:
        config = self.write(name, "patroni.yml", yaml.safe_dump(self.patroni_config(name)))
        self.spawn(name, [str(Path(sys.executable).parent / "patroni"), str(config)])

    def _haproxy(self, name: str) -> None:
        address, tls = self.address(name), self.certificates(name)
        check = f"check check-ssl port 4443 verify required ca-file {tls['ca']} crt {tls['pem']}"
        servers = "\n".join(
            f"  server pg-{n} {self.address(f'pg-{n}')}:5432 {check}"
            for n in range(1, self.patroni_members + 1)
        )
        config = self.write(
            name,
            "haproxy.cfg",
            f"""defaults
  timeout connect 1s
  timeout client 1h
  timeout server 1h
frontend statistics
  mode http
  bind {address}:8404 ssl crt {tls["pem"]} ca-file {tls["ca"]} verify required
  stats enable
  stats uri /
listen primary
  mode tcp
  bind {address}:5432
  option httpchk
  http-check send meth OPTIONS uri /primary
  http-check expect status 200
  default-server inter 500ms on-marked-down shutdown-sessions
{servers}
""",
        )
        self.spawn(name, ["/usr/sbin/haproxy", "-db", "-f", str(config)])

    def close(self) -> None:
        for name in list(self.processes):
            self.end(name, signal.SIGKILL)
        self._claim.close()
        shutil.rmtree(self.folder, ignore_errors=True)
