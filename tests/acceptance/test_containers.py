"""A cluster's software and cloud-init in containers: libvirt's LXC driver, systemd in each.

The machines are made from the image that `pgstead image build` makes, and set up by the same
first boot as virtual machines; what they share is this machine's kernel.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("libvirt")

import libvirt

from pgstead.clusters.groups import api, group
from pgstead.drills.fault import Scene
from pgstead.drills.faults import ALL
from pgstead.drills.scene import look
from pgstead.operations import sentinel
from pgstead.platforms.guests.guest import RESULT
from support import containers
from support.ledger import Ledger, writing
from support.libvirt import Libvirtd, libvirtd
from support.members import eventually, members, serials, session_of
from support.stack import Stack, stack_in

pytestmark = [
    pytest.mark.real,
    pytest.mark.xdist_group("containers"),
    pytest.mark.skipif(containers.why_not() is not None, reason=str(containers.why_not())),
    pytest.mark.timeout(900),  # the image may have to be built first
]

REJOINED = 120
"""Seconds until a machine that was cut off follows the new leader, or is copied anew."""


@pytest.fixture(scope="module")
def root() -> Path:
    """Made first: beside the daemon there is no network to fetch packages from."""
    return containers.unpacked()


@pytest.fixture(scope="module")
def daemon(root: Path) -> Iterator[Libvirtd]:
    with (
        libvirtd() as made,
        made.network(),
    ):
        yield made


@pytest.fixture(scope="module")
def stack(daemon: Libvirtd, root: Path, folder: Path) -> Iterator[Stack]:
    image = containers.offered(daemon, root)
    with stack_in(folder, "t-lxc") as made:
        write(made, daemon, image, etcd=1, postgres=2)
        made.up()
        yield made
    assert_nothing_left(daemon)


def write(stack: Stack, daemon: Libvirtd, image: str, *, etcd: int, postgres: int) -> None:
    cluster: dict[str, Any] = {
        "postgres": {
            "members": postgres,
            "parameters": {"shared_buffers": "32MB"},
            "machine": containers.SIZE,
        },
        "etcd": {"members": etcd, "machine": containers.SIZE},
        "load_balancer": {"members": 1, "machine": containers.SIZE},
        "machines": {"install_dependencies": False},
    }
    stack.write(cluster, platform=containers.platform(daemon, image))


def assert_nothing_left(daemon: Libvirtd) -> None:
    connection = libvirt.open(daemon.containers)
    assert connection.listAllDomains() == []
    assert connection.listAllNetworks() == []
    assert [pool.name() for pool in connection.listAllStoragePools()] == [containers.POOL]
    assert list((daemon.images / "pool").iterdir()) == []
    connection.close()


def edit(stack: Stack, change: Callable[[dict[str, Any]], None]) -> None:
    document = yaml.safe_load(stack.file.read_text())
    change(document)
    stack.file.write_text(yaml.safe_dump(document, sort_keys=False))


def inside(stack: Stack, machine: str, *words: str) -> str:
    """What a command in a machine says."""
    with session_of(stack) as session:
        done = session.platform.reach(machine).run(words)
    return done.stdout.strip()


@contextmanager
def under_a_writer(stack: Stack) -> Iterator[Ledger]:
    """No acknowledged row is lost, the stack is whole in the end, and nothing is left to do."""
    with writing(stack.dsn()) as ledger:
        yield ledger
        stack.becomes_whole(REJOINED)
    assert stack.plan() == {}


def test_first_boots_end_well_and_leave_no_secret_behind(stack: Stack, daemon: Libvirtd) -> None:
    stack.becomes_whole()
    assert stack.plan() == {}
    assert not list((daemon.images / "pool").glob("*seed*"))
    for machine in ("etcd-1", "postgres-1", "postgres-2", "load-balancer-1"):
        told = json.loads(inside(stack, machine, "cat", RESULT))["v1"]
        assert (told["datasource"].split()[0], told["errors"]) == ("DataSourceNoCloud", [])
        assert inside(stack, machine, "systemctl", "--failed", "--no-legend") == ""
        assert inside(stack, machine, "ls", "/var/lib/cloud/seed/nocloud") == ""
    data = next((daemon.images / "pool").glob("postgres-1-data-*"))
    assert inside(stack, "postgres-1", "ls", "/var/lib/postgresql") == "data"
    assert [each.name for each in data.iterdir()] == ["data"]


def test_parameters_change_by_reload_and_by_restart(stack: Stack) -> None:
    def change(document: dict[str, Any]) -> None:
        document["cluster"]["postgres"]["parameters"] |= {
            "work_mem": "5MB",
            "max_connections": 60,
        }

    with under_a_writer(stack) as ledger:
        edit(stack, change)
        stack.up()
    found = members(stack)
    for name in ("postgres-1", "postgres-2"):
        assert (found.setting(name, "work_mem"), found.setting(name, "max_connections")) == (
            "5MB",
            "60",
        )
    assert ledger.longest_gap < 15


def test_a_lost_state_is_rebuilt_from_what_the_domains_say(stack: Stack) -> None:
    folder = stack.folder / ".pgstead"
    export, passphrase = stack.folder / "export", stack.folder / "passphrase"
    passphrase.write_text("correct horse battery")
    secret = ("--passphrase-file", str(passphrase))
    stack.run("state", "export", str(stack.file), "--output", str(export), *secret)
    with under_a_writer(stack) as ledger:
        lost = {file: file.rename(f"{file}.lost") for file in folder.glob(f"{stack.name}.db*")}
        try:
            stack.run("adopt", str(stack.file), "--export", str(export), *secret, "--yes")
            assert stack.plan() == {}
        except BaseException:
            for file, aside in lost.items():
                aside.rename(file)
            raise
    assert ledger.errors == []


def test_members_join_etcd_and_patroni(stack: Stack) -> None:
    def change(document: dict[str, Any]) -> None:
        document["cluster"]["postgres"]["members"] = 3
        document["cluster"]["etcd"]["members"] = 3

    with under_a_writer(stack):
        edit(stack, change)
        stack.up()
    roles = ["leader", "quorum standby", "quorum standby"]
    eventually(lambda: sorted(stack.roles().values()) == roles)  # the last one is named later
    found = members(stack)
    assert len(found.etcd.members()) == 3
    assert len(found.up("primary")) == 1
    new = found.groups.machines["etcd-3"].address
    assert new in inside(stack, "postgres-1", "cat", "/etc/patroni/patroni.yml")
    assert "postgres-3" in inside(stack, "load-balancer-1", "cat", "/etc/haproxy/haproxy.cfg")


def test_certificates_are_renewed_without_a_restart(stack: Stack) -> None:
    before, old = members(stack).started(), serials(stack)
    document = yaml.safe_load(stack.run("expand", str(stack.file)).stdout)
    for module in document["modules"].values():
        module["certificate_validity_period"] = 4000
    with under_a_writer(stack) as ledger:
        stack.file.write_text(yaml.safe_dump(document, sort_keys=False))
        assert {change["effect"] for change in stack.plan().values()} == {"reload"}
        stack.up()
        # HAProxy's new worker takes over a moment after it was told to.
        eventually(lambda: all(new != old[place] for place, new in serials(stack).items()))
    assert members(stack).started() == before
    assert ledger.errors == []


def test_an_etcd_member_is_made_anew_around_a_volume_that_the_file_names(
    stack: Stack, daemon: Libvirtd
) -> None:
    (data,) = (daemon.images / "pool").glob("etcd-2-data-*")

    def name_it(document: dict[str, Any]) -> None:
        document["modules"]["etcd-2"] |= {"data_volume_id": str(data), "data_size": None}

    expanded = stack.run("expand", str(stack.file)).stdout
    stack.file.write_text(expanded)
    before = {one.id for one in members(stack).etcd.members()}
    with under_a_writer(stack) as ledger:
        edit(stack, name_it)
        stack.up()
        undefine(daemon, "etcd-2")
        stack.up()
        stack.file.write_text(expanded)  # it is the stack's own again
        stack.up()
    assert {one.id for one in members(stack).etcd.members()} == before
    assert ledger.errors == []


def test_a_machine_is_shut_down_cleanly_and_started(stack: Stack) -> None:
    standby = next(name for name, role in stack.roles().items() if role != "leader")
    with under_a_writer(stack):
        stack.run("stop", str(stack.file), standby, "--yes")
        assert stack.plan()[f"machine.{standby}"]["action"] == "update"
        stack.run("start", str(stack.file), standby)
    log = inside(stack, standby, "journalctl", "--unit=patroni", "--grep=system is shut down")
    assert "database system is shut down" in log


def test_the_leaders_machine_is_cut_off_and_taken_back(stack: Stack, daemon: Libvirtd) -> None:
    leader = stack.leader()
    with under_a_writer(stack) as ledger:
        connection = libvirt.open(daemon.containers)
        connection.lookupByName(leader).destroy()
        connection.close()
        seen = len(ledger.acknowledged)
        eventually(lambda: len(ledger.acknowledged) > seen + 10, 60)
        assert stack.plan()[f"machine.{leader}"]["action"] == "update"
        stack.up()
    assert stack.leader() != leader


def test_drills_break_machines_from_the_inside(stack: Stack, daemon: Libvirtd) -> None:
    with under_a_writer(stack), session_of(stack) as session:
        stack.becomes_whole(REJOINED)
        scene = look(session.platform, group(session.machines), session.broken)
        assert "shares its host's clock" in (ALL["clock-ahead"].refused(scene) or "")
        leader, follower = (api(scene.scope.members[n]) for n in (scene.leader, scene.standbys[0]))
        cut = ALL["cut-etcd"].strike(scene)
        seen = leader.status().dcs_last_seen
        eventually(lambda: follower.status().dcs_last_seen > seen + 3, 30)
        assert leader.status().dcs_last_seen <= seen + 2
        cut.restore()
        assert inside(stack, scene.leader, "nft", "list", "tables") == ""

        frozen = ALL["leader-frozen"].strike(scene)
        assert state(daemon, scene.leader) == libvirt.VIR_DOMAIN_PAUSED
        frozen.restore()
        assert state(daemon, scene.leader) == libvirt.VIR_DOMAIN_RUNNING

        before = servers(scene)
        assert f"on {scene.leader}" in ALL["postgres-killed"].strike(scene).what
        # Another one is there before all is looked at: what Patroni says may be a second old.
        eventually(lambda: bool(now := servers(scene)) and not before & now, 60)


def test_a_sentinel_powers_off_a_leader_that_stands_still_and_starts_it_again(
    stack: Stack, daemon: Libvirtd
) -> None:
    stack.becomes_whole(REJOINED)
    leader = stack.leader()
    process = stack.start("sentinel", str(stack.file))
    try:
        eventually(lambda: f"{leader} leads" in happened(stack), 20)
        with under_a_writer(stack) as ledger:
            eventually(lambda: len(ledger.acknowledged) > 10, 20)
            suspend(daemon, leader)
            eventually(lambda: f"{leader} runs again" in happened(stack), REJOINED)
            seen = len(ledger.acknowledged)
            eventually(lambda: len(ledger.acknowledged) > seen + 10, 60)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    told = happened(stack)
    assert [one for one in told if one in (f"{leader} is off", f"{leader} lost the key")] == [
        f"{leader} is off",
        f"{leader} lost the key",
    ]
    assert stack.leader() != leader


def happened(stack: Stack) -> list[str]:
    """What the sentinel saw, decided and did."""
    with session_of(stack) as session:
        return [one.text for one in sentinel.events(session, 1000)]


def suspend(daemon: Libvirtd, machine: str) -> None:
    connection = libvirt.open(daemon.containers)
    connection.lookupByName(machine).suspend()
    connection.close()


def servers(scene: Scene) -> set[str]:
    """PostgreSQL's processes on the leader."""
    found = scene.platform.breaking().processes(scene.leader)
    return {one.identity for one in found if one.name == "postgres"}


def undefine(daemon: Libvirtd, machine: str) -> None:
    connection = libvirt.open(daemon.containers)
    domain = connection.lookupByName(machine)
    domain.destroy()
    domain.undefine()
    connection.close()


def state(daemon: Libvirtd, machine: str) -> int:
    connection = libvirt.open(daemon.containers)
    try:
        return int(connection.lookupByName(machine).state()[0])
    finally:
        connection.close()
