"""Who runs it: root, an ordinary user, several at once; and where they keep their things."""

import os
import pwd
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from pgstead.platforms.local.account import service_account
from pgstead.platforms.local.places import stack_places
from support.stack import SMALL, Stack, stack_in

pytestmark = [
    pytest.mark.real,
    pytest.mark.xdist_group("users"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users"),
]

DB = {"source": "postgres-server", "name": "db", "ca": "own", "key_length": None}
STANDALONE: dict[str, Any] = {
    "certificate_authorities": {"own": {}},
    "modules": {"db": DB},
}


def ordinary(position: int) -> pwd.struct_passwd:
    """An ordinary user of this system, none that servers run as by default."""
    names = ("nobody", "games", "daemon", "bin")
    known = [entry for name in names for entry in pwd.getpwall() if entry.pw_name == name]
    if len(known) <= position:
        pytest.skip("this system has not enough ordinary users")
    return known[position]


@contextmanager
def of_user(folder: Path, name: str, entry: pwd.struct_passwd) -> Iterator[Stack]:
    """A stack that is that user's, in a folder of its own."""
    identity = [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    folder.mkdir()
    with stack_in(folder, name, prefix=["setpriv", *identity]) as stack:
        give(folder, entry)
        yield stack


def give(folder: Path, entry: pwd.struct_passwd) -> None:
    for place in (folder, *folder.rglob("*")):
        os.chown(place, entry.pw_uid, entry.pw_gid)


def owners(stack: Stack) -> set[str]:
    found: set[str] = set()
    for process in stack.processes():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            found.add(process.username())
    return found


def below(folder: Path) -> Iterator[Path]:
    """All in a folder; what a server removes meanwhile may be among it."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in (*folders, *files))


def sockets(stack: Stack, user: pwd.struct_passwd) -> Path:
    """The folder for what has too long a path below the stack's own."""
    name, _, stack_id = stack.root.name.rpartition("-")
    account = service_account(user.pw_name)
    return stack_places(str(stack.root.parent), name, stack_id, account).short


def networks(stack: Stack) -> set[str]:
    """The networks that its servers listen in."""
    pids = {process.pid for process in stack.processes()}
    found = [one for one in psutil.net_connections("tcp") if one.pid in pids]
    listening = [one.laddr for one in found if one.status == psutil.CONN_LISTEN]
    addresses = [address.ip for address in listening if address]
    assert all(address.startswith("127.") for address in addresses)
    return {address.rpartition(".")[0] for address in addresses}


def test_an_ordinary_user_runs_it_all(own_folder: Path) -> None:
    own_folder.chmod(0o755)
    user = ordinary(0)
    with of_user(own_folder / "user", "t-ordinary", user) as stack:
        stack.write(SMALL)
        stack.up()
        stack.becomes_whole()
        assert owners(stack) == {user.pw_name}
        assert stack.root.is_relative_to(stack.folder / "home")
        for place in below(stack.root):
            with suppress(FileNotFoundError):
                assert place.lstat().st_uid == user.pw_uid, place
        assert stack.root.stat().st_mode & 0o077 == 0
        for words in (["stop", "--yes"], ["start"], ["switchover", "--yes"], ["logs", "etcd-1"]):
            stack.run(words[0], str(stack.file), *words[1:])
        assert all(one["ok"] for one in stack.json("doctor"))
        assert f"servers run as {user.pw_name}" in stack.run("doctor").stdout
        short = sockets(stack, user)
        assert short.is_dir()
        stack.destroy()
        left = [p for p in (stack.folder / "home").rglob("*") if "t-ordinary" in str(p)]
        assert left == []
        assert not short.exists()
        with suppress(FileNotFoundError):  # it is gone as well, unless others have theirs in it
            assert list(short.parent.iterdir()) != []


def test_stacks_of_several_users_do_not_meet(own_folder: Path) -> None:
    own_folder.chmod(0o755)
    with ExitStack() as closing:
        stacks = [
            closing.enter_context(of_user(own_folder / f"u{n}", f"t-user{n}", ordinary(n)))
            for n in range(2)
        ]
        (own_folder / "root").mkdir(mode=0o700)
        stacks.append(closing.enter_context(stack_in(own_folder / "root", "t-root")))
        for stack in stacks:
            stack.write(**STANDALONE)
        started = [stack.start("up", str(stack.file), "--yes") for stack in stacks]
        for process in started:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
        assert [owners(stack) for stack in stacks[:2]] == [{ordinary(n).pw_name} for n in (0, 1)]
        found = [networks(stack) for stack in stacks]
        assert [len(each) for each in found] == [1, 1, 1]
        assert len(set.union(*found)) == 3
        assert "127.0.0" not in set.union(*found)
        for stack in stacks:
            with psycopg.connect(stack.dsn()) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        stacks[0].destroy()
        assert [stack.status()["whole"] for stack in stacks[1:]] == [True, True]


def test_a_state_folder_that_is_somebody_elses_is_told(own_folder: Path) -> None:
    own_folder.chmod(0o755)
    with of_user(own_folder / "user", "t-closed", ordinary(0)) as stack:
        stack.write(**STANDALONE)
        os.chown(stack.folder, 0, 0)
        said = stack.run("up", str(stack.file), "--yes", code=1).stderr
        give(stack.folder, ordinary(0))
        assert str(stack.folder / ".pgstead") in said
        assert "no permission for the state" in said
        assert "hint: run as the user who owns it" in said


def test_a_place_that_servers_cannot_get_to_is_told_before_anything_is_made(
    own_folder: Path,
) -> None:
    own_folder.chmod(0o700)
    with stack_in(own_folder, "t-barred") as stack:
        stack.write(**{**STANDALONE, "platform": {"kind": "local", "folder": "./here"}})
        said = stack.run("up", str(stack.file), "--yes", code=1).stderr
        assert f"may not enter {own_folder}, and with it {own_folder}/here/t-barred-" in said
        assert "name another place in platform.folder" in said
        assert not (own_folder / "here").exists()


def test_a_long_path_is_no_obstacle(own_folder: Path) -> None:
    own_folder.chmod(0o755)
    deep = own_folder / "/".join(["a-folder-of-a-rather-long-name"] * 6)
    with stack_in(own_folder, "t-a-stack-of-a-rather-long-name") as stack:
        stack.write(**{**STANDALONE, "platform": {"kind": "local", "folder": str(deep)}})
        stack.up()
        assert stack.status()["whole"]
        assert stack.plan() == {}
        done = stack.run("psql", str(stack.file), "--", "-Atc", "SELECT 6 * 7")
        assert done.stdout == "42\n"
        stack.destroy()
        assert list(deep.glob("*")) == []
