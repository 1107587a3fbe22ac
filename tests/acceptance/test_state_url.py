"""A state that several users share: in a PostgreSQL, named by a URL."""

import base64
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.stack import COMMAND, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("state_url"), pytest.mark.timeout(180)]

MODULES = {"db": {"source": "postgres-server", "name": "db", "ca": "own", "key_length": None}}
CONTENT: dict[str, Any] = {"certificate_authorities": {"own": {}}, "modules": MODULES}
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
STATE = {"url": "${env:TEAM_STATE}"}


@dataclass(frozen=True)
class Team:
    """Two users with a checkout each, who share a state; `password` opens its database."""

    one: Stack
    two: Stack
    password: str

    def said(self, *words: str, stack: Stack | None = None, code: int | None = 0) -> str:
        """Everything that a command says; it never says the password."""
        one = stack or self.one
        done = one.run(*words[:1], str(one.file), *words[1:], code=code)
        text = done.stdout + done.stderr
        assert self.password not in text
        return text


@pytest.fixture(scope="module")
def team(folder: Path) -> Iterator[Team]:
    for name in ("keeper", "one", "two"):
        (folder / name).mkdir()
    with stack_in(folder / "keeper", "t-keeper") as keeper:
        keeper.write(**CONTENT)
        keeper.up()
        url = keeper.dsn("--with-password")
        environment = {"TEAM_STATE": url, "PGSTEAD_KEY": KEY}
        with stack_in(folder / "one", "t-shared", environment=environment) as one:
            one.write(state=STATE, **CONTENT)
            two = Stack(folder / "two", one.name, environment=environment)
            two.file.write_text(one.file.read_text())
            yield Team(one, two, url.split("@")[0].rpartition(":")[2])


def test_what_one_user_made_another_one_sees_and_changes(team: Team) -> None:
    team.one.up()
    assert not list((team.one.folder / ".pgstead").glob("*.db"))
    assert team.two.plan() == {}
    assert team.two.status()["whole"]
    with psycopg.connect(team.two.dsn()) as connection:
        connection.execute("CREATE TABLE made_by_two (id int)")
    text = team.two.file.read_text()
    params = "source: postgres-server\n    postgres_params: -c 'work_mem=7MB'"
    team.two.file.write_text(text.replace("source: postgres-server", params))
    team.two.up()
    assert set(team.one.plan()) == {"machine.db"}  # their file is behind
    team.one.file.write_text(team.two.file.read_text())
    assert team.one.plan() == {}
    assert [entry["command"] for entry in team.one.json("history", str(team.one.file))] == [
        "up",
        "up",
    ]


HOLDS_FOR_LONG = """import time
from pgstead.cli import main
from pgstead.operations import up
up._carried_out = lambda *_: (print("held", flush=True), time.sleep(60))
main()"""


def test_a_second_up_is_refused_and_told_who_is_at_it(team: Team) -> None:
    holder = team.one.start(
        "up", str(team.one.file), "--yes", command=(COMMAND[0], "-c", HOLDS_FOR_LONG)
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    began = time.monotonic()
    said = team.said("up", "--yes", stack=team.two, code=1)
    assert time.monotonic() - began < 30
    held = f"another command works on stack '{team.one.name}': `up` (pid {holder.pid}, "
    assert held in said
    assert "since 20" in said
    assert team.two.status()["whole"]  # looking takes no lock
    holder.kill()
    holder.communicate()
    assert "Nothing to do" in team.said("up", "--yes", stack=team.two)  # a dead one blocks nobody


def test_the_password_of_the_state_is_never_shown(team: Team) -> None:
    for words in (["plan"], ["status"], ["expand"], ["history"], ["validate"], ["output"]):
        team.said(*words)
    wrong = dict(team.one.environment)
    wrong["TEAM_STATE"] = wrong["TEAM_STATE"].replace(team.password, f"{team.password}x")
    stranger = Stack(team.two.folder, team.two.name, environment=wrong)
    said = team.said("plan", stack=stranger, code=1)
    assert "PostgreSQL refused the user or the password for the state" in said
    nowhere = dict(wrong, TEAM_STATE=re.sub(r":5432/", ":9/", wrong["TEAM_STATE"]))
    said = team.said(
        "plan", stack=Stack(team.two.folder, team.two.name, environment=nowhere), code=1
    )
    assert "error: " in said
    assert "hint: " in said
    unset = Stack(team.two.folder, team.two.name, environment={"PGSTEAD_KEY": KEY})
    assert "TEAM_STATE" in team.said("plan", stack=unset, code=2)


def test_nothing_is_left_in_the_state_of_a_stack_that_was_destroyed(team: Team) -> None:
    team.two.run("destroy", str(team.two.file), "--yes", "--delete-data")
    assert "is not up" in team.said("status", code=1)
    with psycopg.connect(team.one.environment["TEAM_STATE"]) as connection:
        for table in ("pgstead_resources", "pgstead_materials"):
            count = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            assert count == (0,)
