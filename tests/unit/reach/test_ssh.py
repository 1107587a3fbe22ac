from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pgstead.errors import PlatformError
from pgstead.reach.ssh import SshTarget, connection_error, options, remote_command, write_keys

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nnot a real one\n-----END OPENSSH PRIVATE KEY-----"


@pytest.fixture
def target(tmp_path: Path) -> SshTarget:
    return SshTarget("vm1", "10.0.0.5", "admin", tmp_path / "client", Path("/tmp/p"), port=2222)


def test_keys_are_for_their_owner_alone(target: SshTarget) -> None:
    write_keys(target, private_key=KEY, host_key="ssh-ed25519 AAAAC3Nz root@vm1\n")
    assert target.folder.stat().st_mode & 0o777 == 0o700
    assert target.identity.stat().st_mode & 0o777 == 0o600
    assert target.identity.read_text() == f"{KEY}\n"
    assert target.known_hosts.read_text() == "vm1 ssh-ed25519 AAAAC3Nz\n"
    write_keys(target, private_key=KEY, host_key="ssh-ed25519 BBBB")
    assert target.known_hosts.read_text() == "vm1 ssh-ed25519 BBBB\n"
    assert len(list(target.folder.iterdir())) == 2


def test_keys_of_many_guests_may_be_laid_down_at_once(target: SshTarget) -> None:
    targets = [replace(target, machine=f"vm{number}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda one: write_keys(one, private_key=KEY, host_key="ssh-ed25519 A"), targets
            )
        )
    assert len(list(target.folder.iterdir())) == 41
    assert target.identity.read_text() == f"{KEY}\n"


def test_the_client_trusts_that_host_key_alone(target: SshTarget) -> None:
    words = options(target)
    assert "-oStrictHostKeyChecking=yes" in words
    assert "-oHostKeyAlias=vm1" in words
    assert "-oGlobalKnownHostsFile=/dev/null" in words
    assert "-oForwardAgent=no" in words
    assert words[:2] == ["-F", "none"]


def test_openssh_understands_the_words(target: SshTarget) -> None:
    odd = replace(target, folder=Path("/tmp/a b%c"))
    shown = subprocess.run(
        ["ssh", "-G", *options(odd), "vm1"], capture_output=True, text=True, check=True
    ).stdout
    settings = dict(line.split(" ", 1) for line in shown.splitlines() if " " in line)
    assert settings["hostname"] == "10.0.0.5"
    assert settings["port"] == "2222"
    assert settings["userknownhostsfile"].replace("%%", "%") == "/tmp/a b%c/vm1.known_hosts"
    assert settings["controlpersist"] == "60"


def test_the_connection_is_shared_only_where_its_socket_has_room(target: SshTarget) -> None:
    assert "-oControlMaster=auto" in options(target)
    far = replace(target, sockets=Path("/tmp") / ("x" * 90))
    assert "-oControlMaster=no" in options(far)


def test_different_guests_have_different_sockets(target: SshTarget) -> None:
    others = [replace(target, address="10.0.0.6"), replace(target, machine="vm2")]
    assert len({target.control, *(other.control for other in others)}) == 3


def test_the_guest_s_shell_gets_the_words_as_they_are() -> None:
    words = ["printf", "%s|", "a b", "$HOME", "'", '"', "*", "", "; exit 9", "\n"]
    command = remote_command(words, 10, root=True)
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"{word}|" for word in words[2:])


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (1, 1), (124, 124), (254, 254), (255, 254)])
def test_255_is_left_to_ssh(code: int, seen: int) -> None:
    command = remote_command(["sh", "-c", f"exit {code}"], 10, root=True)
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    assert done.returncode == seen


def test_others_than_root_become_root_without_a_question() -> None:
    assert remote_command(["id"], 5).startswith("sudo -n -- timeout --kill-after=5 5 id;")
    assert "sudo" not in remote_command(["id"], 5, root=True)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "has another host key"),
        ("No ED25519 host key is known for vm1 and you have", "has another host key"),
        ("admin@10.0.0.5: Permission denied (publickey).", "does not accept the key"),
        ('Load key "id": invalid format', "the identity file cannot be used"),
        ("ssh: connect to host 10.0.0.5 port 22: No route to host", "No route to host"),
        ("Connection timed out during banner exchange", "during banner exchange"),
        ("", "ssh says nothing"),
    ],
)
def test_what_ssh_says_becomes_an_error_with_the_place(
    target: SshTarget, said: str, told: str
) -> None:
    error = connection_error(target, said)
    assert isinstance(error, PlatformError)
    assert told in error.message
    assert "machine vm1 (admin@10.0.0.5, port 2222)" in error.message
    assert error.hint
