from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.clients.http import Https, Unreachable
from pgstead.clients.postgres import Login
from pgstead.clients.tls import client_context, pem_file
from pgstead.errors import ClientError
from pgstead.membership import TlsClient


def test_a_pem_is_readable_by_path_and_then_gone() -> None:
    with pem_file("text" * 50_000) as path:
        assert Path(path).read_text() == "text" * 50_000
    assert not Path(path).exists()


def test_without_memory_files_it_is_a_private_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.memfd_create", raising=False)
    with pem_file("text") as path:
        assert Path(path).read_text() == "text"
        assert Path(path).stat().st_mode & 0o077 == 0
        assert Path(path).parent.stat().st_mode & 0o077 == 0
    assert not Path(path).parent.exists()


def test_what_is_no_certificate_is_said_without_the_key() -> None:
    client = TlsClient("no pem", "no pem", "the-secret-key")
    with pytest.raises(ClientError, match="operator's certificate") as raised:
        client_context(client)
    assert "the-secret-key" not in raised.value.message
    with pytest.raises(ClientError):
        Https("127.9.0.1", 1, client).ask("GET", "/")


def test_unreachable_is_a_client_error() -> None:
    assert issubclass(Unreachable, ClientError)


def test_a_login_shows_no_password() -> None:
    login = Login("127.9.0.1", 5432, "postgres", "hush", "ca")
    assert str(login) == "postgresql://postgres@127.9.0.1:5432/postgres"
    assert "hush" not in repr(login)
