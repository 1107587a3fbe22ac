"""What was changed by hand: the plan says it in words, `up` puts it right, then nothing is left."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pgstead.clients.etcd import Permission
from support.ledger import writing
from support.members import eventually, mains, members
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("drift")]


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-drift") as made:
        made.write(SMALL)
        made.up()
        yield made


def words(stack: Stack) -> str:
    """What the plan says."""
    return stack.run("plan", str(stack.file)).stdout


def patched(stack: Stack, change: dict[str, Any]) -> None:
    """Patroni's settings, changed by hand; a member tells of them as of its last round."""
    found = members(stack)
    changed = found.api("postgres-1").patch_config(change)
    eventually(lambda: all(found.api(name).config() == changed for name in found.postgres))


def repaired(stack: Stack) -> None:
    stack.up()
    assert stack.plan() == {}


def test_files_edited_removed_and_opened(stack: Stack) -> None:
    patroni = stack.machine("postgres-1") / "etc/patroni/patroni.yml"
    haproxy = stack.machine("load-balancer-1") / "etc/haproxy/haproxy.cfg"
    etcd = stack.machine("etcd-1") / "etc/etcd/conf.yml"
    key = stack.machine("postgres-2") / "etc/patroni/tls/etcd-client.key"
    for file in (patroni, haproxy, etcd):
        file.write_text(file.read_text() + "# by hand\n")
    mode = key.stat().st_mode
    key.chmod(0o644)
    certificate = stack.machine("postgres-2") / "etc/patroni/tls/server.crt"
    certificate.unlink()
    with writing(stack.dsn()):
        said = words(stack)
        assert "file /etc/patroni/patroni.yml: differs (changed by hand)" in said
        assert "file /etc/haproxy/haproxy.cfg: differs (changed by hand)" in said
        assert "file /etc/etcd/conf.yml: differs (changed by hand)" in said
        assert "mode of file /etc/patroni/tls/etcd-client.key: 0644 -> 0600" in said
        assert "file /etc/patroni/tls/server.crt: missing (changed by hand)" in said
        stack.up()
    assert stack.plan() == {}
    assert key.stat().st_mode == mode
    assert certificate.exists()
    for file in (patroni, haproxy, etcd):
        assert "# by hand" not in file.read_text()


def new(stack: Stack, machine: str, name: str, before: set[int]) -> bool:
    return bool(mains(stack, machine, name) - before)


def test_killed_services_start_again_by_themselves(stack: Stack) -> None:
    names = {"etcd-1": "etcd", "load-balancer-1": "haproxy", "postgres-1": "patroni"}
    before = {machine: mains(stack, machine, name) for machine, name in names.items()}
    for pid in set().union(*before.values()):
        os.kill(pid, signal.SIGKILL)
    for machine, name in names.items():
        eventually(partial(new, stack, machine, name, before[machine]), 30)
    stack.becomes_whole()
    assert stack.plan() == {}


def test_a_stopped_service_is_started(stack: Stack) -> None:
    stack.run("stop", str(stack.file), "load-balancer-1", "--yes")
    assert set(stack.plan()) == {"machine.load-balancer-1"}
    assert "does not run: started" in words(stack)
    repaired(stack)


def test_settings_of_patroni(stack: Stack) -> None:
    patched(stack, {"ttl": 40, "postgresql": {"parameters": {"work_mem": "9MB"}}})
    said = words(stack)
    assert "setting ttl: 40 -> 20 (changed by hand)" in said
    assert "setting postgresql.parameters.work_mem: 9MB -> absent (changed by hand)" in said
    repaired(stack)
    assert members(stack).api("postgres-1").config()["ttl"] == 20


def test_parameters_set_by_alter_system(stack: Stack) -> None:
    """One that a reload takes back, and one that takes a restart."""
    stack_members = members(stack)
    standby = next(name for name, role in stack.roles().items() if role != "leader")
    stack_members.execute(standby, "ALTER SYSTEM SET wal_buffers = '2MB'")
    stack_members.execute("postgres-1", "ALTER SYSTEM SET work_mem = '9MB'")
    stack_members.execute("postgres-1", "SELECT pg_reload_conf()")
    stack_members.api(standby).restart()
    stack.becomes_whole()
    assert stack_members.setting(standby, "wal_buffers") == "2MB"
    said = words(stack)
    assert "ALTER SYSTEM SET work_mem on postgres-1: 9MB -> absent (changed by hand)" in said
    assert f"ALTER SYSTEM SET wal_buffers on {standby}: 2MB -> absent (changed by hand)" in said
    with writing(stack.dsn()):
        stack.up()
    assert stack.plan() == {}
    assert stack_members.setting("postgres-1", "work_mem") == "4MB"
    assert stack_members.setting(standby, "wal_buffers") == "4MB"


def test_users_of_etcd(stack: Stack) -> None:
    etcd = members(stack).etcd
    prefix = f"/service/{stack.name}/"
    etcd.role_revoke("patroni", Permission(prefix))
    etcd.user_change_password("patroni", "by hand")
    said = words(stack)
    assert "password of etcd user patroni: differs (changed by hand)" in said
    assert f"prefixes of etcd user patroni: none -> {prefix} (changed by hand)" in said
    repaired(stack)
    stack.becomes_whole()
    assert members(stack).etcd.role_prefixes("patroni") == (prefix,)


def test_authentication_of_etcd(stack: Stack) -> None:
    members(stack).etcd.call("/v3/auth/disable")
    assert "authentication: off -> on (changed by hand)" in words(stack)
    repaired(stack)
    assert members(stack).etcd.authentication_enabled()
    stack.becomes_whole()


def test_roles_of_postgresql(stack: Stack) -> None:
    leader = stack.leader()
    members(stack).execute(leader, "ALTER ROLE app PASSWORD 'by hand'")
    members(stack).execute(leader, "ALTER ROLE app SUPERUSER")
    members(stack).execute(leader, "ALTER ROLE replicator PASSWORD 'by hand'")
    said = words(stack)
    assert "password of role app: differs (changed by hand)" in said
    assert "password of role replicator: differs (changed by hand)" in said
    assert "rights of role app: login superuser -> login (changed by hand)" in said
    repaired(stack)


def test_patroni_paused_by_hand_is_said_and_left(stack: Stack) -> None:
    patched(stack, {"pause": True})
    try:
        assert "is paused by hand: no failover will happen" in words(stack)
        assert stack.plan() == {}
    finally:
        patched(stack, {"pause": None})
    assert "paused" not in words(stack)


def test_without_etcd_answers_come_in_seconds(stack: Stack) -> None:
    stack.run("stop", str(stack.file), "etcd-1", "--yes")
    try:
        began = os.times().elapsed
        assert not stack.status()["whole"]
        between = os.times().elapsed
        assert "machine.etcd-1" in stack.plan()
        assert between - began < 8
        assert os.times().elapsed - between < 8
    finally:
        stack.up()
    stack.becomes_whole()
    assert stack.plan() == {}
