"""A cluster whose state is lost: found, adopted from an export, and not disturbed."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgstead.engine.export import read_export
from support.ledger import writing
from support.members import mains
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("adopt")]

PASSPHRASE = {"PGSTEAD_PASSPHRASE": "correct horse battery"}
SERVERS = {"postgres-1": "postgres", "postgres-2": "postgres", "etcd-1": "etcd"}


def database(stack: Stack) -> Path:
    return stack.folder / ".pgstead" / f"{stack.name}.db"


def export(stack: Stack) -> Path:
    return stack.folder / "export.json"


def lose(stack: Stack) -> None:
    """The state and its key, as with the operator's computer."""
    for file in database(stack).parent.glob(f"{stack.name}.db*"):
        file.unlink()
    for key in (stack.folder / "home").glob(".config/pgstead/keys/*"):
        key.unlink()


def adopt(stack: Stack, *words: str, code: int = 0) -> str:
    done = stack.run("adopt", str(stack.file), *words, code=code)
    return done.stdout + done.stderr


def secrets(stack: Stack) -> dict[str, Any]:
    """The top level keys of a stack file that holds everything that cannot be made again."""
    (passphrase,) = PASSPHRASE.values()
    materials = read_export(export(stack), stack.name, passphrase=passphrase)["materials"]
    rows = {name: json.loads(base64.b64decode(row)) for name, row in materials.items()}
    passwords = {
        name.removeprefix("password/"): {"value": row["password"]}
        for name, row in rows.items()
        if name.startswith("password/")
    }
    authorities = {stack.name: rows[f"authority/{stack.name}"]}
    return {"certificate_authorities": authorities, "passwords": passwords}


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-adopt", environment=dict(PASSPHRASE)) as made:
        made.write(SMALL)
        made.up()
        made.run("state", "export", str(made.file), "--output", str(export(made)))
        try:
            yield made
        finally:
            if not database(made).exists():
                adopt(made, "--export", str(export(made)), "--yes")


@pytest.mark.timeout(180)
def test_a_lost_state_is_rebuilt_while_the_cluster_serves(stack: Stack) -> None:
    servers = {machine: mains(stack, machine, name) for machine, name in SERVERS.items()}
    dsn = stack.dsn("--with-password")
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with writing(stack.dsn()) as ledger:
        lose(stack)
        rehearsal = adopt(stack, "--export", str(export(stack)), "--dry-run")
        assert str(stack.machine("postgres-2")) in rehearsal
        assert not database(stack).exists()
        adopt(stack, "--export", str(export(stack)), "--yes")
        assert stack.plan() == {}
    assert ledger.errors == []
    assert stack.status()["whole"]
    assert stack.dsn("--with-password") == dsn
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert {machine: mains(stack, machine, name) for machine, name in SERVERS.items()} == servers
    assert "adopt" in stack.run("history", str(stack.file)).stdout


@pytest.mark.timeout(120)
def test_without_its_export_it_says_what_is_lost_and_what_to_do(stack: Stack) -> None:
    lose(stack)
    before = sorted(database(stack).parent.iterdir())
    told = adopt(stack, "--yes", code=1)
    assert f"certificate authority '{stack.name}'" in told
    assert "password 'superuser'" in told
    assert "pgstead state export" in told
    assert sorted(database(stack).parent.iterdir()) == before
    adopt(stack, "--export", str(export(stack)), "--yes")
    assert stack.plan() == {}
    assert "has a state already" in adopt(stack, "--export", str(export(stack)), code=1)


@pytest.mark.timeout(120)
def test_a_stack_file_that_holds_all_secrets_needs_no_export(stack: Stack) -> None:
    servers = {machine: mains(stack, machine, name) for machine, name in SERVERS.items()}
    with writing(stack.dsn()) as ledger:
        lose(stack)
        stack.write(SMALL, **secrets(stack))
        adopt(stack, "--yes")
        # Certificates alone were lost for good: others come, under the same authority. Only the
        # sentinel starts anew for its own, which serves nobody.
        effects = {address: change["effect"] for address, change in stack.plan().items()}
        restarts = {address for address, effect in effects.items() if effect != "reload"}
        assert all("sentinel" in address for address in restarts), effects
        stack.up()
    assert ledger.errors == []
    assert stack.plan() == {}
    stack.becomes_whole()  # HAProxy that was reloaded takes all for up until it has asked
    assert {machine: mains(stack, machine, name) for machine, name in SERVERS.items()} == servers
