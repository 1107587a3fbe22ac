from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest

from pgstead.clients import scram
from pgstead.clients.postgres import RoleSeen
from pgstead.clusters import postgres_content as content
from pgstead.membership import Database, PostgresAccess, Role

ACCESS = PostgresAccess(
    (
        Role("postgres", "super", superuser=True, managed_by_patroni=True),
        Role("rewind", "rewind", managed_by_patroni=True),
        Role("app", "app-new"),
    ),
    (Database("app", "app"),),
)


class Server:
    """As much of `PostgresClient` as roles and databases take; refuses all else."""

    def __init__(self, **passwords: str) -> None:
        self.there = {name: self._role(name, word) for name, word in passwords.items()}
        self.owners: dict[str, str] = {}
        self.done: list[str] = []

    def _role(self, name: str, password: str) -> RoleSeen:
        verifier = scram.make(password, b"0123456789abcdef", 2)
        return RoleSeen(name, True, name == "postgres", name == "postgres", verifier)

    def transaction(self, *, flush: bool) -> AbstractContextManager[None]:
        self.flushed = flush
        return nullcontext()

    def roles(self) -> dict[str, RoleSeen]:
        return dict(self.there)

    def databases(self) -> dict[str, str]:
        return dict(self.owners)

    def create_role(self, name: str) -> None:
        self.done.append(f"create {name}")
        self.there[name] = RoleSeen(name, False, False, False)

    def alter_role(self, name: str, *, superuser: bool, replication: bool) -> None:
        self.done.append(f"alter {name}")
        role = self.there[name]
        self.there[name] = RoleSeen(name, True, superuser, replication, role.verifier)

    def set_password(self, name: str, password: str) -> None:
        self.done.append(f"password {name}")
        self.there[name] = replace(
            self.there[name], verifier=scram.make(password, b"0123456789abcdef", 2)
        )

    def grant_execute(self, function: str, role: str) -> None:
        self.done.append(f"grant {role}")

    def create_database(self, name: str, owner: str) -> None:
        self.done.append(f"create database {name}")
        self.owners[name] = owner

    def alter_database_owner(self, name: str, owner: str) -> None:
        self.done.append(f"owner of {name}")
        self.owners[name] = owner


def seen(server: Any, last: str | None = None) -> dict[str, Any]:
    return dict(content.seen(server, ACCESS, str.upper, lambda _: (last,) if last else ()))


WANTED = {
    "password:postgres": "SUPER",
    "password:rewind": "REWIND",
    "password:app": "APP-NEW",
    "rights:app": "login",
    "database:app": "app",
}


@pytest.mark.parametrize(
    ("password", "last", "value"),
    [
        ("app-new", "app-old", "APP-NEW"),
        ("app-old", "app-old", "APP-OLD"),
        ("by-hand", "app-old", "unknown to pgstead"),
        ("by-hand", None, "unknown to pgstead"),
    ],
)
def test_which_password_a_role_has(password: str, last: str | None, value: str) -> None:
    assert seen(Server(app=password), last)["password:app"] == value


def test_what_is_missing_has_no_key() -> None:
    assert seen(Server(postgres="super")) == {"password:postgres": "SUPER"}


def test_from_nothing_to_everything_and_then_nothing_more() -> None:
    server: Any = Server(postgres="super")
    content.converge(server, ACCESS)
    assert seen(server) == WANTED
    assert server.done == [
        "create app",
        "alter app",
        "password app",
        "create rewind",
        "alter rewind",
        "password rewind",
        *["grant rewind"] * 4,
        "create database app",
    ]
    assert not server.flushed, "making the database writes the roles to disk as well"
    server.done.clear()
    content.converge(server, ACCESS)
    assert server.done == []
    assert server.flushed


def test_the_superusers_password_changes_last() -> None:
    server: Any = Server(postgres="old", rewind="old", app="old")
    server.owners["app"] = "postgres"
    content.converge(server, ACCESS)
    assert server.done == [
        "password app",
        "password rewind",
        "password postgres",
        "owner of app",
    ]


def test_settings_made_by_hand_are_told_apart() -> None:
    assert content.is_by_hand(content.guc_key("pg-1", "work_mem"))
    assert content.is_by_hand(content.restart_key("alone"))
    assert not content.is_by_hand(content.password_key("app"))
