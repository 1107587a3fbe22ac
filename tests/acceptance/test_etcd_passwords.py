"""An etcd whose clients need no certificate, but a password: what Patroni of old logs in to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pgstead.certificates import Authority, CertificateRequest, issue, make_authority
from support.stack import Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("etcd_passwords")]

ROOT, USER = "only-for-root-here", "only-for-a-user-here"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("given", "test")


@pytest.fixture(scope="module")
def stack(folder: Path, authority: Authority) -> Iterator[Stack]:
    with stack_in(folder, "t-etcd-pw") as made:
        made.write(
            certificate_authorities={
                "given": {"certificate": authority.certificate, "key": authority.key}
            },
            passwords={"root": {"value": ROOT}, "user": {"value": USER}},
            modules={"etcd-1": etcd()},
        )
        made.up()
        yield made


def etcd() -> dict[str, Any]:
    user = {"name": "reader", "password": "${passwords.user}", "prefixes": ["/mine/"]}
    return {
        "source": "etcd-server",
        "name": "etcd-1",
        "ca": "given",
        "etcd": {"grpc_gateway_enabled": True, "client_cert_auth": False},
        "authentication_bootstrap": {
            "bootstrap": True,
            "root_password": "${passwords.root}",
            "users": [user],
        },
        "cluster": {"initial_members": [{"name": "etcd-1", "ip": "${modules.etcd-1.ip}"}]},
    }


def etcdctl(stack: Stack, authority: Authority, *words: str) -> subprocess.CompletedProcess[str]:
    trusted = stack.folder / "given.crt"
    trusted.write_text(authority.certificate)
    endpoint = stack.json("output", str(stack.file))["etcd-1.endpoint"]
    return subprocess.run(
        ["etcdctl", f"--endpoints=https://{endpoint}", f"--cacert={trusted}", *words],
        env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def client(folder: Path, authority: Authority) -> tuple[str, str]:
    """A certificate of the authority, as words of etcdctl."""
    request = CertificateRequest("client", "given", None, "test", server=False, client=True)
    pair = issue(request, authority, now=datetime.now(UTC))
    cert, key = folder / "client.crt", folder / "client.key"
    cert.write_text(pair.certificate)
    key.write_text(pair.key)
    return f"--cert={cert}", f"--key={key}"


def test_a_password_is_enough_and_a_certificate_is_not(stack: Stack, authority: Authority) -> None:
    assert stack.plan() == {}
    for words in ((), client(stack.folder, authority)):
        nobody = etcdctl(stack, authority, *words, "get", "/mine/a")
        assert nobody.returncode != 0
        assert "user name is empty" in nobody.stderr
        root = etcdctl(stack, authority, *words, f"--user=root:{ROOT}", "put", "/mine/a", "1")
        assert root.stdout == "OK\n", root.stderr
        user = etcdctl(stack, authority, *words, f"--user=reader:{USER}", "get", "/mine/a")
        assert user.stdout == "/mine/a\n1\n", user.stderr
    wrong = etcdctl(stack, authority, "--user=reader:another", "get", "/mine/a")
    assert "authentication failed" in wrong.stderr
