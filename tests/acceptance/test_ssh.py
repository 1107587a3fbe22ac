"""Reach by ssh against a real OpenSSH server, which runs as an ordinary user."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pgstead.errors import PlatformError
from pgstead.machine import File
from pgstead.reach.guest import GuestReach
from pgstead.reach.ssh import SshTarget, ssh_reach, write_keys
from pgstead.waiting import wait

ADDRESS = "127.88.3.7"
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")

pytestmark = [
    pytest.mark.real,
    pytest.mark.xdist_group("ssh"),
    pytest.mark.skipif(SSHD is None, reason="no sshd: apt-get install openssh-server"),
]


@dataclass(frozen=True)
class Server:
    """A server that accepts one key, and where it keeps things."""

    folder: Path
    user: str
    port: int
    process: subprocess.Popen[bytes]

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


def ordinary_user() -> str:
    """An unprivileged user with a shell: ourselves, or the one of PostgreSQL's packages."""
    if os.geteuid() != 0:
        return getpass.getuser()
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("no user postgres, as whom a server could run")
    return user.pw_name


def key(path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(words, check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def settings(folder: Path, port: int) -> str:
    return f"""\
ListenAddress {ADDRESS}:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
# The user is no administrator of this machine: this sudo runs what it is told as it is.
SetEnv PATH={folder}/bin:/usr/bin:/bin
"""


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    user, port = ordinary_user(), free_port()
    (folder / "bin").mkdir()
    sudo = folder / "bin" / "sudo"
    sudo.write_text('#!/bin/sh\n[ "$1 $2" = "-n --" ] || exit 1\nshift 2\nexec "$@"\n')
    sudo.chmod(0o755)
    for name in ("host", "client", "other"):
        key(folder / name)
    (folder / "sshd_config").write_text(settings(folder, port))
    account = pwd.getpwnam(user)
    for path in (folder, *folder.rglob("*")):
        if os.geteuid() == 0 and path.name not in ("client", "other"):
            os.chown(path, account.pw_uid, account.pw_gid)
    process = start(folder, user)
    try:
        wait(lambda: accepts(port), deadline=20, what="the ssh server")
        yield Server(folder, user, port, process)
    finally:
        end(process)


def start(folder: Path, user: str) -> subprocess.Popen[bytes]:
    words = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]
    become = {} if os.geteuid() != 0 else {"user": user, "group": user, "extra_groups": []}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True, **become)  # type: ignore[call-overload,no-any-return]


def end(process: subprocess.Popen[bytes]) -> None:
    """End the server and the connections that it serves, which are in its session."""
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=10)


def accepts(port: int) -> bool:
    try:
        with socket.create_connection((ADDRESS, port), timeout=1):
            return True
    except OSError:
        return False


Make = Callable[..., GuestReach]


@pytest.fixture
def made(server: Server, own_folder: Path) -> Iterator[Make]:
    """Makes reaches into the server, and closes them."""
    reaches: list[GuestReach] = []

    def make(
        *, host_key: str = "host.pub", private_key: str = "client", port: int = 0
    ) -> GuestReach:
        target = SshTarget(
            machine="vm1",
            address=ADDRESS,
            user=server.user,
            folder=own_folder / f"client-{len(reaches)}",
            sockets=own_folder / "s",
            port=port or server.port,
        )
        write_keys(target, private_key=server.text(private_key), host_key=server.text(host_key))
        reaches.append(ssh_reach(target))
        return reaches[-1]

    yield make
    for reach in reaches:
        reach.close()


@pytest.fixture
def place(server: Server, own_folder: Path) -> Path:
    """A folder that the server's user may write to."""
    folder = own_folder / "place"
    folder.mkdir()
    own_folder.chmod(0o711)
    if os.geteuid() == 0:
        shutil.chown(folder, server.user)
    return folder


def test_a_file_arrives_whole_with_owner_and_mode(server: Server, made: Make, place: Path) -> None:
    path, content = place / "etc" / "it's a file.yml", "a: 1\r\nü: $HOME\n" * 20_000
    reach = made()
    reach.push(File(str(path), content, mode=0o600, owner=server.user))
    assert path.read_bytes() == content.encode()
    assert (path.stat().st_mode & 0o7777, path.owner()) == (0o600, server.user)
    assert list(path.parent.iterdir()) == [path]
    seen = reach.look([str(path), str(place / "absent")])
    assert [one and (one.content == content, one.owner, one.mode) for one in seen.values()] == [
        (True, server.user, 0o600),
        None,
    ]


def test_what_cannot_be_written_changes_nothing(made: Make, place: Path) -> None:
    (place / "conf.yml").write_text("old")
    with pytest.raises(
        PlatformError, match=r"conf\.yml could not be written on machine vm1: chown"
    ):
        made().push(File(str(place / "conf.yml"), "new", owner="nobody-of-that-name"))
    assert [path.name for path in place.iterdir()] == ["conf.yml"]
    assert (place / "conf.yml").read_text() == "old"


def test_commands_end_as_they_end(made: Make) -> None:
    reach = made()
    words = ["printf", "%s|", "a b", "$HOME", "'", '"', "*", "", "; exit 9"]
    assert reach.run(words).stdout == "".join(f"{word}|" for word in words[2:])
    done = reach.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.code, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert reach.run(["no-such-program"]).code == 127
    assert reach.run(["sh", "-c", "exit 255"]).code == 254


def test_a_command_that_does_not_end_is_ended_there_too(made: Make) -> None:
    seconds = f"293.{os.getpid()}"  # another run of this test may sleep as well
    with pytest.raises(PlatformError, match=rf"sleep {seconds} did not end within 0\.5 s"):
        made().run(["sleep", seconds], timeout=0.5)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"sleep {seconds}" not in running.stdout.splitlines()


def test_one_connection_serves_many_commands(server: Server, made: Make) -> None:
    reach = made()
    before = server.text("log").count("Accepted publickey")
    began = time.monotonic()
    for _ in range(5):
        assert reach.run(["true"]).code == 0
    assert time.monotonic() - began < 20
    assert server.text("log").count("Accepted publickey") == before + 1


def test_a_closed_reach_opens_again(made: Make) -> None:
    reach = made()
    assert reach.run(["true"]).code == 0
    reach.close()
    reach.close()
    assert reach.run(["true"]).code == 0


def test_another_host_key_is_refused(made: Make) -> None:
    with pytest.raises(PlatformError, match="has another host key") as raised:
        made(host_key="other.pub").run(["true"])
    assert "another machine may have its address" in (raised.value.hint or "")


def test_another_client_s_key_is_not_accepted(made: Make) -> None:
    with pytest.raises(PlatformError, match="does not accept the key"):
        made(private_key="other").run(["true"])


def test_nobody_there_is_told_with_the_place(made: Make) -> None:
    with pytest.raises(PlatformError, match=rf"vm1 \(.*@{ADDRESS}, port \d+\).*refused"):
        made(port=free_port()).run(["true"])


def test_who_may_not_become_root_is_told_so(server: Server, made: Make) -> None:
    sudo = server.folder / "bin" / "sudo"
    allowed = sudo.read_text()
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    try:
        with pytest.raises(PlatformError, match="may not become root") as raised:
            made().run(["true"])
    finally:
        sudo.write_text(allowed)
    assert "NOPASSWD" in (raised.value.hint or "")


def test_a_folder_of_sockets_that_others_may_enter_is_refused(made: Make) -> None:
    reach = made()
    target: SshTarget = reach.transport.target  # type: ignore[attr-defined]
    open_folder = target.sockets.with_name("open")
    open_folder.mkdir(mode=0o755)
    with pytest.raises(PlatformError, match="others may enter it"):
        ssh_reach(replace(target, sockets=open_folder)).run(["true"])
