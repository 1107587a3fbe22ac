"""What every platform promises: the same tests for the one that remembers and the one that runs."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from unittest import mock

import psutil
import pytest

from pgstead.engine.compare import make_plan
from pgstead.engine.resource import Data, Observed, Present, Recorded, Resource, Steps, Unknown
from pgstead.errors import PlatformError, Refused
from pgstead.machine import Command, Directory, File, Machine, OnChange, Probe, Service, path
from pgstead.machine import Software as MachineSoftware
from pgstead.membership import EtcdMember, TlsClient
from pgstead.platforms.base import Platform
from pgstead.platforms.breaking import Breakage
from pgstead.platforms.local import LocalPlatform
from pgstead.platforms.memory import MemoryPlatform, World
from pgstead.platforms.software import plain_digest
from pgstead.waiting import wait

pytestmark = [pytest.mark.timeout(400)]  # of which OpenStack's lab may take most, once

PORT = 5432
SERVER = """\
import signal, socket, sys
signal.signal(signal.SIGHUP, lambda *_: None)
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    while True:
        server.accept()[0].close()
"""
STACK = "contract"


@dataclass(frozen=True)
class Settings:
    folder: Path | None
    user: str | None = None
    network: str | None = None
    binaries: dict[str, str] = field(default_factory=dict)
    start_at_boot: bool = False


@dataclass
class Ground:
    """A platform and the machines that stand on it."""

    kind: str
    folder: Path
    platform: Platform
    blind: Callable[[], AbstractContextManager[object]]
    """Has what is there not be seen while the block runs."""

    addresses: dict[str, str] = field(default_factory=dict)
    records: dict[str, Recorded] = field(default_factory=dict)

    def machine(self, name: str = "one", text: str = "first", **changes: object) -> Machine:
        if name not in self.addresses:
            self.addresses |= self.platform.allocate([name], self.addresses)
        address = self.addresses[name]
        server = Service(
            "server",
            (sys.executable, path("/opt/server.py"), address, str(PORT)),
            ready=Probe(PORT, deadline=20),
            stop_seconds=10,
        )
        software = MachineSoftware(
            directories=(Directory("/var/lib/server", data=True),),
            files=(
                File("/opt/server.py", SERVER, service="server"),
                File("/etc/server.conf", text, service="server", on_change=OnChange.RELOAD),
                File("/etc/once", text, on_change=OnChange.CREATE_ONLY),
            ),
            setup=(Command("note", ("/usr/bin/touch", path("/noted")), path("/noted")),),
            services=(replace(server, **changes),),  # type: ignore[arg-type]
        )
        member = EtcdMember("none", name, address, TlsClient("", "", ""))
        return Machine(name, name, address, software, member)

    def lower(self, machine: Machine) -> Resource:
        return self.platform.lower([machine], plain_digest)[0]

    def create(self, machine: Machine | None = None) -> Resource:
        resource = self.begin(machine)
        finish(self.platform.create(resource, {}))
        return resource

    def begin(self, machine: Machine | None = None) -> Resource:
        """Lower a machine, and record that it is being made, as `up` does before any step."""
        resource = self.lower(machine or self.machine())
        self.records[resource.address] = recorded(resource)
        return resource

    def see(self, target: Resource | Recorded) -> Observed:
        return self.platform.observe({target.address: target}, plain_digest)[target.address]


def finish(steps: Steps) -> None:
    for step in steps:
        step.run()


def recorded(resource: Resource) -> Recorded:
    return Recorded(
        resource.address,
        resource.kind,
        resource.values,
        place=resource.place,
        holds_data=resource.holds_data,
    )


def wrong(resource: Resource, seen: Observed) -> set[str]:
    """The keys that are not as they should be."""
    assert isinstance(seen, Present)
    keys = {*resource.values, *seen.values}
    return {key for key in keys if seen.values.get(key) != resource.values.get(key)}


REAL = ("local", "openstack")


@pytest.fixture(params=["memory", *(pytest.param(kind, marks=pytest.mark.real) for kind in REAL)])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    grounds = {"memory": in_memory, "local": on_this_machine, "openstack": in_a_cloud}
    with tempfile.TemporaryDirectory(prefix="pgs", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with grounds[request.param](folder, request) as made:
            yield made


@contextmanager
def in_memory(folder: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    yield Ground("memory", folder, MemoryPlatform(World(folder / "world")), nullcontext)


@contextmanager
def on_this_machine(folder: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    local = LocalPlatform(Settings(folder), STACK, folder.name.replace("_", "x"))
    refused = PermissionError(13, "Permission denied", "/etc/server.conf")
    looking = "pgstead.platforms.local.observe.read_file"
    try:
        yield Ground("local", folder, local, partial(mock.patch, looking, side_effect=refused))
    finally:
        for place in local.places.machines.glob("*"):
            steps = local.delete(Recorded(f"machine.{place.name}", "machine", {}), data=Data.DELETE)
            finish(steps)
        local.dispose(data=Data.DELETE)
        assert not [p for p in psutil.process_iter() if str(folder) in " ".join(words(p))]


@contextmanager
def in_a_cloud(folder: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    project = request.getfixturevalue("openstack_project")
    from support.openstack.faults import Fault  # noqa: PLC0415 - skipped without openstacksdk
    from support.openstack.stage import Stage  # noqa: PLC0415

    stage = Stage(project, folder / "ssh", stack=STACK, settings={"data_size": 1})
    made = Ground(
        "openstack",
        folder,
        stage.platform(),
        lambda: project.lab.failing("nova", Fault(status=500, path="servers")),
    )
    stage.records = made.records
    try:
        yield made
    finally:
        stage.destroy()
        assert project.left() == {}


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_what_exists_says_whose_it_is(ground: Ground) -> None:
    """Enough to rebuild a lost state: a record made of it finds the machine, and removes it."""
    assert ground.platform.found() == ()
    resource = ground.create()
    (one,) = ground.platform.found()
    assert one.machine == "one"
    assert one.address in ("", ground.addresses["one"])
    assert one.place == resource.place
    known = Recorded(resource.address, resource.kind, {}, place=one.place)
    assert isinstance(ground.see(known), Present)
    finish(ground.platform.delete(replace(known, holds_data=True), data=Data.KEEP))
    assert ground.platform.found() == ()  # data that is kept is no machine


def test_what_was_created_is_what_was_wanted(ground: Ground) -> None:
    resource = ground.create()
    assert wrong(resource, ground.see(resource)) == set()
    assert wrong(resource, ground.see(recorded(resource))) == set()


def test_creation_can_be_repeated_and_resumed(ground: Ground) -> None:
    resource = ground.begin()
    count = len(list(ground.platform.create(resource, {})))
    for done in range(1, count + 1):
        steps = ground.platform.create(resource, {})
        for _ in range(done):
            next(steps).run()
    power = ground.platform.power("one")
    finish(ground.platform.create(resource, {}))
    assert wrong(resource, ground.see(resource)) == set()
    assert ground.platform.power("one") == power
    assert ground.platform.trouble() == ""


def test_what_is_half_made_is_not_taken_for_whole(ground: Ground) -> None:
    resource = ground.begin()
    next(ground.platform.create(resource, {})).run()
    seen = ground.see(resource)
    assert seen is None or wrong(resource, seen)


def test_what_is_not_there_is_none(ground: Ground) -> None:
    resource = ground.lower(ground.machine())
    assert ground.see(resource) is None
    assert ground.see(recorded(resource)) is None
    assert not is_on(ground.platform)


def test_an_update_brings_the_changed_keys_and_no_others(ground: Ground) -> None:
    ground.create()
    power = ground.platform.power("one")
    wanted = ground.lower(ground.machine(text="second"))
    assert wrong(wanted, ground.see(wanted)) == {"file:/etc/server.conf"}
    finish(ground.platform.update(wanted, {"file:/etc/server.conf": OnChange.RELOAD}))
    assert wrong(wanted, ground.see(wanted)) == set()
    assert ground.platform.power("one") == power  # a reload is no restart
    both = ground.lower(ground.machine(text="third", environment={"MORE": "1"}))
    assert wrong(both, ground.see(both)) == {"file:/etc/server.conf", "service:server"}
    finish(ground.platform.update(both, {"service:server": OnChange.RESTART}))
    assert wrong(both, ground.see(both)) == {"file:/etc/server.conf"}


def test_an_update_removes_what_is_not_wanted_any_more(ground: Ground) -> None:
    plain = ground.machine()
    more = (*plain.software.files, File("/etc/more", "more"))
    ground.create(replace(plain, software=replace(plain.software, files=more)))
    wanted = ground.lower(plain)
    (change,) = make_plan([wanted], ground.records, {wanted.address: ground.see(wanted)}).changes
    assert "file:/etc/more" in change.changed
    finish(ground.platform.update(wanted, change.changed))
    assert wrong(wanted, ground.see(wanted)) == set()


def is_on(platform: Platform) -> bool:
    """Whether it says so; of what is gone, a platform may refuse to tell."""
    with suppress(PlatformError):
        return platform.power("one").on
    return False


@pytest.mark.parametrize("data", Data)
def test_what_was_deleted_is_gone_and_its_data_only_when_told_so(
    ground: Ground, data: Data
) -> None:
    resource = ground.create()
    if ground.kind == "local":
        folder = ground.platform.reach("one").place("/var/lib/server")  # type: ignore[attr-defined]
        (folder / "row").write_text("precious")
    for _ in range(2):  # the second time there is nothing left to do
        finish(ground.platform.delete(recorded(resource), data=data))
        assert ground.see(resource) is None
        assert not is_on(ground.platform)
    kept = ground.platform.dispose(data=data)
    if ground.kind == "local":
        assert [path.read_text() for one in kept for path in one.rglob("row")] == (
            [] if data is Data.DELETE else ["precious"]
        )
        assert list(ground.folder.iterdir()) == [] or data is not Data.DELETE


def test_what_cannot_be_seen_is_unknown_and_never_unchanged(ground: Ground) -> None:
    if ground.kind == "memory":
        pytest.skip("everything can be seen there")
    resource = ground.create()
    with ground.blind():
        seen = ground.see(resource)
    assert isinstance(seen, Unknown) or any(
        isinstance(value, Unknown)
        for value in seen.values.values()  # type: ignore[union-attr]
    )


def test_power_tells_what_is_on_and_one_boot_from_the_next(ground: Ground) -> None:
    ground.create()
    first = ground.platform.power("one")
    assert first.on
    assert first.boot
    if ground.kind == "memory":
        return  # nothing runs there that could be cut off
    ground.platform.power_off("one", first.boot)
    assert not ground.platform.power("one").on
    ground.platform.start("one")
    second = ground.platform.power("one")
    assert second.on
    assert second.boot != first.boot


def stands_still(ground: Ground) -> bool:
    """Whether all of a machine's processes stand still; where only that can be seen."""
    found = {
        psutil.Process(one.pid).status() for one in ground.platform.breaking().processes("one")
    }
    assert found == {psutil.STATUS_STOPPED} or psutil.STATUS_STOPPED not in found
    return psutil.STATUS_STOPPED in found


def test_a_machine_is_frozen_at_the_boot_that_was_seen_and_goes_on(ground: Ground) -> None:
    ground.create()
    breaking, power = ground.platform.breaking(), ground.platform.power("one")
    if reason := breaking.cannot(Breakage.FREEZE, "one"):
        with pytest.raises(Refused, match=reason):
            breaking.freeze("one", power.boot)
        return
    here = ground.kind == "local"
    with pytest.raises(Refused):
        breaking.freeze("one", f"{power.boot}1")
    assert not here or not stands_still(ground)
    breaking.freeze("one", power.boot)
    assert not here or stands_still(ground)
    assert ground.platform.power("one") == power
    for _ in range(2):
        breaking.thaw("one")
        assert not here or not stands_still(ground)
    breaking.freeze("one", ground.platform.power("one").boot)
    ground.platform.start("one")  # whoever starts it need not know that it stands still
    assert not here or not stands_still(ground)
    ground.platform.power_off("one", ground.platform.power("one").boot)
    breaking.thaw("one")
    assert not ground.platform.power("one").on
    with pytest.raises(Refused, match="off"):
        breaking.freeze("one", power.boot)


def test_a_signal_reaches_the_very_process_it_is_meant_for(ground: Ground) -> None:
    if ground.kind == "openstack":
        pytest.skip("its guests are stand-ins, in which no process runs")
    ground.create()
    breaking = ground.platform.breaking()
    if reason := breaking.cannot(Breakage.SIGNAL, "one"):
        with pytest.raises(Refused, match=reason):
            breaking.signal("one", ["1:1"], signal.SIGKILL)
        return
    (server,) = breaking.processes("one")
    breaking.signal("one", [f"{server.pid}:1"], signal.SIGKILL)
    assert breaking.processes("one") == (server,)
    breaking.signal("one", [server.identity], signal.SIGKILL)
    wait(lambda: breaking.processes("one") != (server,), deadline=10, what="its end")


def test_what_was_not_broken_is_brought_back_without_harm(ground: Ground) -> None:
    ground.create()
    breaking, power = ground.platform.breaking(), ground.platform.power("one")
    breaking.thaw("one")
    if breaking.cannot(Breakage.CUT, "one") is None:
        breaking.mend("one")
    assert ground.platform.power("one") == power


def test_addresses_are_given_once_and_lie_in_one_network(ground: Ground) -> None:
    names = [f"m{number}" for number in range(12)]
    first = dict(ground.platform.allocate(names[:7], {}))
    more = dict(ground.platform.allocate(names[7:], first))
    assert sorted({**first, **more}) == sorted(names)
    assert len({*first.values(), *more.values()}) == len(names)
    assert len({address.rpartition(".")[0] for address in (*first.values(), *more.values())}) == 1
    assert ground.platform.occupied({**first, **more}) == {}


def test_lowering_is_pure_and_gives_the_same_each_time(ground: Ground) -> None:
    machine = ground.machine()
    before = set(ground.folder.rglob("*"))
    one, two = ground.lower(machine), ground.lower(machine)
    assert one == two
    assert one.address == "machine.one"
    assert one.holds_data
    assert "file:/etc/once" not in one.attributes
    assert set(ground.folder.rglob("*")) == before
    changed = ground.lower(ground.machine(text="second"))
    differing = {key for key in one.values if one.values[key] != changed.values[key]}
    assert differing == {"file:/etc/server.conf"}
