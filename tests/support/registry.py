"""A registry of container images of a test's own: TLS, and a user with a password."""

from __future__ import annotations

import base64
import ctypes
import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

from pgstead.certificates import Authority, CertificateRequest, issue
from pgstead.waiting import wait

PROGRAM = "docker-registry"
USER = "puller"
PASSWORD = "only-for-this-registry"
SECRETS = (PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
"""The password, and what a program that pulls keeps of it."""

PORT = 5000
HERE = "127.0.0.1"
"""How it is reached from its own network, which is none of this machine's."""

START_SECONDS = 30.0

Network = Callable[[], AbstractContextManager[None]]
"""Gives a block in which this thread, and what it starts, is in a network."""


def why_not() -> str | None:
    """The reason why no registry can be started here; None if it can."""
    return None if shutil.which(PROGRAM) else f"not installed: {PROGRAM}"


@dataclass(frozen=True)
class Registry:
    """A registry that runs; `host` is what others call it, `folder` holds all it has."""

    host: str
    folder: Path
    authority: Authority
    network: Network

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{PORT}"

    @property
    def settings(self) -> dict[str, Any]:
        """How a stack file names it."""
        return {
            "url": f"https://{self.address}",
            "username": USER,
            "password": PASSWORD,
            "ca_certificate": self.authority.certificate,
        }

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text()

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "", *, password: str = PASSWORD
    ) -> Message:
        """A request; gives the answer's headers. Raises `OSError` if it is refused."""
        login = base64.b64encode(f"{USER}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": kind}
        url = f"https://{HERE}:{PORT}{path}"
        request = urllib.request.Request(url, body, headers, method=method)
        trust = ssl.create_default_context(cadata=self.authority.certificate)
        with self.network(), urllib.request.urlopen(request, timeout=60, context=trust) as answer:
            found: Message = answer.headers
            return found


@contextmanager
def registry(folder: Path, host: str, authority: Authority, network: Network) -> Iterator[Registry]:
    """A registry in that network, on all of its addresses; ended in the end."""
    folder.mkdir(mode=0o700)
    made = Registry(host, folder, authority, network)
    configuration = _configured(made)
    with (folder / "log").open("wb") as log, network():
        process = subprocess.Popen(
            [PROGRAM, "serve", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait(lambda: _serves(made, process), deadline=START_SECONDS, what="the registry")
        yield made
    finally:
        process.terminate()
        process.wait(30)


def _serves(made: Registry, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, made.log
    try:
        made.ask("GET", "/v2/")
    except ConnectionError:
        return False
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionError):
            return False
        raise
    return True


def _configured(made: Registry) -> Path:
    """Its files; gives the path of its configuration, which JSON is YAML enough for."""
    folder = made.folder
    request = CertificateRequest("registry", "test", "registry", "test", (made.host, HERE))
    pair = issue(request, made.authority, now=datetime.now(UTC))
    texts = {
        "server.crt": pair.certificate,
        "server.key": pair.key,
        "htpasswd": f"{USER}:{_bcrypt(PASSWORD)}\n",
        "config.yml": json.dumps(_settings(folder)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder / "config.yml"


def _settings(folder: Path) -> dict[str, Any]:
    tls = {"certificate": f"{folder}/server.crt", "key": f"{folder}/server.key"}
    return {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": f"{folder}/data"}},
        "http": {"addr": f":{PORT}", "relativeurls": True, "tls": tls, "secret": "of-one-process"},
        "auth": {"htpasswd": {"realm": "test", "path": f"{folder}/htpasswd"}},
    }


def _bcrypt(password: str) -> str:
    """The one kind of hash that the registry reads (crypt(5)), by the C library's own crypt."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    found: bytes = crypt(password.encode(), b"$2b$05$" + b"." * 22)
    return found.decode()
