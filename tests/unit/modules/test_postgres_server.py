from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pgstead.errors import MissingSoftware, SpecError
from pgstead.machine import Machine, OnChange
from pgstead.membership import Database, StandaloneServer
from pgstead.modules.build import Blueprint
from pgstead.modules.fake import FakeMaterials
from pgstead.modules.postgres_server.parameters import parse_parameters

Tree = dict[str, Any]
Make = Callable[..., Machine]
Build = Callable[..., Blueprint]


def _files(machine: Machine) -> dict[str, str]:
    return {file.path.rpartition("/")[2]: file.content for file in machine.software.files}


def _member(machine: Machine) -> StandaloneServer:
    assert isinstance(machine.membership, StandaloneServer)
    return machine.membership


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("-c 'work_mem=4MB'", {"work_mem": "4MB"}),
        ("-c work_mem=4MB -cjit=off", {"work_mem": "4MB", "jit": "off"}),
        ("--Work-Mem='4 MB'", {"work_mem": "4 MB"}),
        ("-c a=1 -c a=2", {"a": "2"}),
        ("-c log_line_prefix=a=b", {"log_line_prefix": "a=b"}),
        ("-c auto_explain.log_analyze=on", {"auto_explain.log_analyze": "on"}),
    ],
)
def test_parameters_are_read_as_postgresql_reads_them(text: str, found: dict[str, str]) -> None:
    assert parse_parameters(text) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-c ssl=off", "ssl is managed"),
        ("--ssl-cert-file=/tmp/a", "ssl_cert_file is managed"),
        ("-c SSL_KEY_FILE=/tmp/a", "ssl_key_file is managed"),
        ("-c port=1", "port is managed"),
        ("-c", "not of the form"),
        ("-c work_mem", "not of the form"),
        ("-c 'a b=1'", "not of the form"),
        ("-N 100", "'-N' is not understood"),
        ("-c 'open", "No closing quotation"),
    ],
)
def test_other_parameters_are_refused(text: str, words: str, make: Make, server: Tree) -> None:
    with pytest.raises(SpecError, match=rf"postgres_params: .*{words}"):
        make({**server, "postgres_params": text})


def test_a_parameter_cannot_begin_another_line(make: Make, server: Tree) -> None:
    with pytest.raises(SpecError, match="line break"):
        make({**server, "postgres_params": "-c 'work_mem=1\nssl=off'"})


def test_a_reload_is_enough_for_what_it_is_enough_for(make: Make, server: Tree) -> None:
    text = "-c shared_buffers=1GB -c work_mem=4MB -c pg_stat_statements.max=9"
    machine = make({**server, "postgres_params": text})
    files = _files(machine)
    assert "shared_buffers = '1GB'\n" in files["postgresql.conf"]
    assert "pg_stat_statements.max = '9'\n" in files["postgresql.conf"]
    assert "work_mem = '4MB'\n" in files["reload.conf"]
    effects = {file.path.rpartition("/")[2]: file.on_change for file in machine.software.files}
    assert effects["postgresql.conf"] is OnChange.RESTART
    assert {effects[name] for name in ("reload.conf", "pg_hba.conf", "server.key")} == {
        OnChange.RELOAD
    }


def test_a_password_is_made_and_told_if_none_is_given(build_all: Build, server: Tree) -> None:
    blueprint = build_all({"db": server})
    (machine,) = blueprint.machines
    assert _member(machine).access.superuser.password == "<password db/postgres>"
    assert blueprint.outputs["db"]["db_password"].value == "<password db/postgres>"
    given = build_all({"db": {**server, "postgres_password": "made-up"}})
    assert given.outputs["db"]["db_password"].value == ""
    assert _member(given.machines[0]).access.superuser.password == "made-up"
    empty = build_all({"db": {**server, "postgres_password": ""}})
    assert empty.outputs["db"]["db_password"].value == "<password db/postgres>"


def test_the_password_is_for_initdb_and_in_no_argument(make: Make, server: Tree) -> None:
    machine = make({**server, "postgres_password": "made-up"})
    (file,) = [one for one in machine.software.files if one.path.endswith("initdb-password")]
    assert (file.secret, file.mode, file.on_change) == (True, 0o600, OnChange.CREATE_ONLY)
    words = [word for command in machine.software.setup for word in command.argv]
    words += [word for service in machine.software.services for word in service.command]
    assert not any("made-up" in word for word in words)


def test_user_and_database(make: Make, server: Tree) -> None:
    access = _member(make(server)).access
    assert (access.superuser.name, access.databases) == ("postgres", ())
    own = _member(make({**server, "postgres_user": "me", "postgres_database": "store"})).access
    assert (own.superuser.name, own.superuser.superuser) == ("me", True)
    assert own.databases == (Database("store", "me"),)


def test_the_certificate_of_old(build_all: Build, server: Tree) -> None:
    materials = FakeMaterials()
    tree = {**server, "domains": ["postgres.local", "other"], "organization": "us"}
    blueprint = build_all({"db": tree}, materials=materials)
    request = materials.asked["db/server"]
    assert (request.common_name, request.organization) == ("postgres.local", "us")
    assert (request.addresses, request.names) == (("10.0.0.1",), ("postgres.local", "other"))
    assert (request.validity_hours, request.early_renewal_hours) == (876_000, 8_760)
    assert (request.key, request.server, request.client) == ("rsa-4096", True, False)
    assert any("100 years" in warning for warning in blueprint.warnings)


def test_periods_and_key_are_the_users_to_set(build_all: Build, server: Tree) -> None:
    materials = FakeMaterials()
    tree = {
        **server,
        "certificate_validity_period": 100,
        "certificate_early_renewal": 10,
        "key_length": 2048,
    }
    assert build_all({"db": tree}, materials=materials).warnings == ()
    request = materials.asked["db/server"]
    assert (request.validity_hours, request.early_renewal_hours) == (100, 10)
    assert request.key == "rsa-2048"


def test_an_authority_is_needed(make: Make, server: Tree) -> None:
    with pytest.raises(SpecError, match=r"modules\.it\.ca: is required"):
        make({key: value for key, value in server.items() if key != "ca"})


def test_packages_are_the_distributions_or_postgresqls_own(make: Make, server: Tree) -> None:
    software = make({**server, "version": "16"}, platform="memory").software
    assert software.packages[0].name == "postgresql-16"
    own = make({**server, "version": "16", "package_source": "postgresql"}, platform="memory")
    (command,) = [one for one in own.software.setup if one.name == "postgresql-packages"]
    assert command.argv[-1] == "postgresql-16"
    assert "postgresql-16" not in {one.name for one in own.software.packages}


def test_where_servers_are_lent_an_image_is_a_wish(make: Make, server: Tree) -> None:
    machine = make({**server, "postgres_image": "postgres:12.9"}, postgresql="15.18")
    assert any("postgres:12.9" in one and "15.18" in one for one in machine.warnings)
    with pytest.raises(MissingSoftware, match="wants PostgreSQL 12"):
        make({**server, "version": "12"}, postgresql="15.18")


def test_a_data_folder_appears_whole(make: Make, server: Tree) -> None:
    software = make(server).software
    (data,) = [one for one in software.directories if one.data]
    assert {command.creates for command in software.setup} == {f"{data.path}/PG_VERSION"}
    assert [command.name for command in software.setup] == ["clear", "initdb", "finish"]
    assert software.setup[2].argv[-1] == f"@{{path:{data.path}}}"


def test_only_the_superuser_postgres_is_the_systems_user(make: Make, server: Tree) -> None:
    assert "local all postgres peer" in _files(make(server, platform="memory"))["pg_hba.conf"]
    own = make({**server, "postgres_user": "me"}, platform="memory")
    assert "peer" not in _files(own)["pg_hba.conf"]
