"""The local platform with real processes: made, seen, changed, broken, repaired, removed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from pgstead.engine.resource import Present, Recorded, Resource, Steps, Unknown, Value
from pgstead.errors import CommandFailed, NotReady, PlatformError, Refused
from pgstead.machine import (
    Command,
    Directory,
    File,
    Machine,
    OnChange,
    Probe,
    Service,
    Software,
    binary,
    path,
)
from pgstead.membership import EtcdMember, TlsClient
from pgstead.platforms.local import LocalPlatform, processes
from pgstead.platforms.local.packages import unpack
from pgstead.platforms.local.services import Services
from pgstead.platforms.software import plain_digest
from pgstead.run import run
from pgstead.waiting import wait

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

PORT = 5432

SERVER = """\
import os, signal, socket, sys
def read():
    print("reads", open(sys.argv[3]).read().strip(), flush=True)
signal.signal(signal.SIGHUP, lambda *_: read())
read()
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    while True:
        server.accept()[0].close()
"""


@dataclass(frozen=True)
class Settings:
    folder: str | None
    user: str | None = None
    network: str | None = None
    binaries: dict[str, str] | None = None
    start_at_boot: bool = False


@dataclass
class Ground:
    """A platform in a folder of its own; `fresh` is the same one as another pgstead sees it."""

    folder: Path
    name: str = "ground"

    def __post_init__(self) -> None:
        self.platform = self.fresh()

    def fresh(self) -> LocalPlatform:
        settings = Settings(str(self.folder))
        return LocalPlatform(settings, self.name, self.folder.name.replace("_", "x"))

    def machine(self, name: str = "one", text: str = "first", **changes: object) -> Machine:
        address = self.platform.allocate([name], {})[name]
        service = Service(
            "server",
            (sys.executable, path("/opt/server.py"), address, str(PORT), path("/etc/server.conf")),
            ready=Probe(PORT, deadline=20),
            stop_seconds=10,
        )
        software = Software(
            directories=(Directory("/var/lib/server", data=True), Directory("/run/server")),
            files=(
                File("/opt/server.py", SERVER, service="server"),
                File(
                    "/etc/server.conf",
                    text,
                    service="server",
                    on_change=OnChange.RELOAD,
                    mode=0o644,
                ),
            ),
            services=(replace(service, **changes),),  # type: ignore[arg-type]
        )
        member = EtcdMember("none", name, address, TlsClient("", "", ""))
        return Machine(name, name, address, software, member)

    def lower(self, machine: Machine) -> Resource:
        return self.platform.lower([machine], plain_digest)[0]

    def create(self, machine: Machine) -> Resource:
        resource = self.lower(machine)
        finish(self.platform.create(resource, {}))
        return resource

    def differences(self, resource: Resource) -> dict[str, Value | Unknown]:
        """The keys that are not as they should be, and what is there instead."""
        seen = self.platform.observe({resource.address: resource}, plain_digest)[resource.address]
        assert isinstance(seen, Present)
        keys = dict.fromkeys([*resource.values, *seen.values])
        return {
            key: seen.values.get(key)
            for key in keys
            if seen.values.get(key) != resource.values.get(key)
        }

    def repair(self, resource: Resource) -> None:
        changed = {
            key: resource.attributes[key].on_change
            if key in resource.attributes
            else OnChange.RELOAD
            for key in self.differences(resource)
        }
        finish(self.platform.update(resource, changed))

    def services(self, name: str = "one") -> Services:
        return self.platform._services(self.platform._known_card(name))

    def main(self, name: str = "one", service: str = "server") -> processes.Process:
        (main,) = self.services(name).mains(service)
        return main

    def log(self, name: str = "one", service: str = "server") -> list[str]:
        return list(self.platform.reach(name).logs(service))

    def clear(self) -> None:
        platform = self.fresh()
        platform.supervisor.shutdown()
        names = {one.machine for one in self.all_processes()}
        for name in names:
            self.services(name).kill_all()
        shutil.rmtree(platform.places.short, ignore_errors=True)
        shutil.rmtree(self.folder)

    def all_processes(self) -> list[processes.Process]:
        places = self.platform.places
        return processes.of_stack(self.platform._stack_id, places.machines, places.account.uid)


def finish(steps: Steps) -> None:
    for step in steps:
        step.run()


def recorded(resource: Resource) -> Recorded:
    return Recorded(
        resource.address, resource.kind, resource.values, place=resource.place, holds_data=True
    )


def kill_supervisor(ground: Ground) -> None:
    pid = ground.platform.supervisor.pid()
    assert pid
    found = processes.find(pid)
    assert found
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not processes.alive(found) or None, deadline=5, what="its end")


@pytest.fixture
def ground() -> Iterator[Ground]:
    folder = Path(tempfile.mkdtemp(prefix="pgs", dir="/tmp"))
    folder.chmod(0o755)
    made = Ground(folder)
    try:
        yield made
    finally:
        made.clear()


def test_a_machine_serves_as_the_unprivileged_user_and_is_as_it_should_be(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    assert ground.differences(resource) == {}
    main = ground.main()
    owner = Path(f"/proc/{main.pid}").stat().st_uid
    assert owner == ground.platform.account.uid
    assert owner != 0
    place = ground.platform.places.machine("one")
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert place.of("/etc/server.conf").stat().st_mode & 0o777 == 0o600
    socket.create_connection((resource.place["address"], PORT), timeout=5).close()
    before = main.pid
    finish(ground.fresh().create(resource, {}))
    assert ground.main().pid == before


def test_create_converges_after_a_stop_between_any_two_steps(ground: Ground) -> None:
    machine = ground.machine()
    setup = Command("note", ("/bin/sh", "-c", "echo made >> noted"), "/noted")
    machine = replace(machine, software=replace(machine.software, setup=(setup,)))
    resource = ground.lower(machine)
    for done in range(1, 5):
        steps = ground.fresh().create(resource, {})
        for _ in range(done):
            next(steps).run()
    finish(ground.fresh().create(resource, {}))
    assert ground.differences(resource) == {}
    assert ground.platform.reach("one").read("/noted") == "made\n"
    assert len(ground.services().mains("server")) == 1


def test_a_change_reloads_or_restarts_only_as_it_must(ground: Ground) -> None:
    ground.create(ground.machine())
    before = ground.main().pid
    second = ground.lower(ground.machine(text="second"))
    assert list(ground.differences(second)) == ["file:/etc/server.conf"]
    ground.repair(second)
    wait(lambda: "reads second" in ground.log() or None, deadline=5, what="the reload")
    assert ground.main().pid == before
    third = ground.lower(ground.machine(text="second", environment={"MORE": "it's 100% #1"}))
    assert list(ground.differences(third)) == ["service:server"]
    ground.repair(third)
    assert ground.differences(third) == {}
    assert ground.main().pid != before
    environment = Path(f"/proc/{ground.main().pid}/environ").read_text()
    assert "MORE=it's 100% #1" in environment.split("\0")


def test_a_service_is_added_and_removed_without_touching_the_others(ground: Ground) -> None:
    plain = ground.machine()
    ground.create(plain)
    before = ground.main().pid
    sleeper = Service("sleeper", ("/bin/sleep", "1000"), stop_seconds=5)
    services = (*plain.software.services, sleeper)
    more = ground.lower(replace(plain, software=replace(plain.software, services=services)))
    ground.repair(more)
    assert ground.differences(more) == {}
    assert ground.main(service="sleeper").name == "sleep"
    fewer = ground.lower(plain)
    assert set(ground.differences(fewer)) == {"service:sleeper", "running:sleeper"}
    ground.repair(fewer)
    assert ground.differences(fewer) == {}
    assert {one.service for one in ground.services().mine()} == {"server"}
    assert ground.main().pid == before


def test_drift_is_seen_and_repaired(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    place = ground.platform.places.machine("one")
    place.of("/etc/server.conf").write_text("by hand")
    place.of("/opt/server.py").unlink()
    place.of("/run/server").rmdir()
    found = ground.differences(resource)
    assert set(found) == {
        "file:/etc/server.conf",
        "file:/opt/server.py",
        "mode:/opt/server.py",
        "directory:/run/server",
        "mode:/run/server",
    }
    ground.repair(resource)
    assert ground.differences(resource) == {}


def test_a_service_that_dies_is_started_again_by_itself(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    before = ground.main()
    wait(_runs_for(before, 1.2), deadline=5, what="supervisor to trust it")
    os.kill(before.pid, signal.SIGKILL)
    wait(
        lambda: any(one.pid != before.pid for one in ground.services().mains("server")) or None,
        deadline=10,
        what="the new one",
    )
    assert ground.differences(resource) == {}


def _runs_for(process: processes.Process, seconds: float) -> Callable[[], bool | None]:
    import time  # noqa: PLC0415

    return lambda: time.time() - processes.started_at(process) > seconds or None


def test_a_machine_whose_folder_is_gone_is_made_anew_without_leftovers(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    before = ground.main()
    shutil.rmtree(ground.platform.places.machine("one").folder)
    seen = ground.platform.observe({resource.address: resource}, plain_digest)
    assert seen == {resource.address: None}
    finish(ground.platform.create(resource, {}))
    assert ground.differences(resource) == {}
    assert not processes.alive(before)


def test_what_outlives_its_supervisor_is_seen_and_taken_over(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    orphan = ground.main()
    kill_supervisor(ground)
    assert ground.differences(resource) == {"running:server": "unsupervised"}
    ground.platform.supervisor.ensure()
    # The supervisor's own waits for the lock; the orphan still serves, alone.
    assert ground.differences(resource) == {"running:server": "unsupervised"}
    assert [one.pid for one in ground.services().mains("server")] == [orphan.pid]
    ground.repair(resource)
    assert ground.differences(resource) == {}
    assert not processes.alive(orphan)


def test_there_is_never_a_second_supervisor(ground: Ground) -> None:
    ground.create(ground.machine())
    kill_supervisor(ground)
    stale = ground.platform.places.supervisor / "supervisord.pid"
    assert stale.exists()
    with ThreadPoolExecutor(4) as pool:
        for started in [pool.submit(ground.fresh().supervisor.ensure) for _ in range(4)]:
            started.result()
    config = str(ground.platform.supervisor.config_file)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert sum(config in line for line in listed.stdout.splitlines()) == 1


def test_machines_are_made_side_by_side_with_their_starts_apart(ground: Ground) -> None:
    names = [f"m{number}" for number in range(4)]
    addresses = ground.platform.allocate(names, {})
    assert len({address.rpartition(".")[0] for address in addresses.values()}) == 1

    def one(name: str) -> Resource:
        machine = ground.machine(name, stagger=0.2)
        command = list(machine.software.services[0].command)
        command[2] = addresses[name]
        service = replace(machine.software.services[0], command=tuple(command))
        software = replace(machine.software, services=(service,))
        return ground.lower(replace(machine, address=addresses[name], software=software))

    resources = [one(name) for name in names]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda resource: finish(ground.platform.create(resource, {})), resources))
    assert [ground.differences(resource) for resource in resources] == [{}, {}, {}, {}]
    starts = sorted(processes.started_at(ground.main(name)) for name in names)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert min(gaps) > 0.1


def test_a_server_that_dies_while_starting_is_told_of_with_its_last_words(ground: Ground) -> None:
    words = ("/bin/sh", "-c", "echo this cannot work; exit 3")
    with pytest.raises(PlatformError, match=r"died while it started.*\n.*\nthis cannot work"):
        ground.create(ground.machine(command=words))


def test_a_port_that_is_taken_is_told_of_with_who_took_it(ground: Ground) -> None:
    machine = ground.machine()
    with socket.create_server((machine.address, PORT)):
        assert "pytest" in (ground.platform.taken(machine.address, [PORT]) or "") or os.getpid()
        with pytest.raises(PlatformError, match=f"taken by .*process {os.getpid()}"):
            ground.create(machine)
        assert ground.platform.allocate(["one"], {})["one"] != machine.address
    resource = ground.lower(machine)
    finish(ground.platform.create(resource, {}))
    assert ground.differences(resource) == {}


def test_a_server_that_never_listens_is_waited_for_up_to_its_deadline(ground: Ground) -> None:
    machine = ground.machine(command=("/bin/sleep", "1000"), ready=Probe(PORT, deadline=0.5))
    with pytest.raises(NotReady, match=r"server on one to be ready on 127\..*its log is empty"):
        ground.create(machine)


def test_a_setup_that_fails_is_told_of_with_its_last_words(ground: Ground) -> None:
    machine = ground.machine()
    setup = Command("break", ("/bin/sh", "-c", "echo no luck; exit 7"), "/never")
    resource = ground.lower(replace(machine, software=replace(machine.software, setup=(setup,))))
    with pytest.raises(CommandFailed, match=r"exit code 7\)\nno luck"):
        finish(ground.platform.create(resource, {}))


def test_a_machine_that_is_powered_off_stays_off(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    power = ground.platform.power("one")
    assert power.on
    with pytest.raises(Refused, match="not at boot 1:1 any more"):
        ground.platform.power_off("one", "1:1")
    ground.platform.power_off("one", power.boot)
    assert not ground.platform.power("one").on
    kill_supervisor(ground)
    ground.platform.supervisor.ensure()
    assert not ground.platform.power("one").on
    assert ground.differences(resource) == {"running:server": "stopped"}
    ground.platform.power_off("one", power.boot)  # it is off: nothing to do
    ground.repair(resource)
    assert ground.differences(resource) == {}
    assert ground.platform.power("one").boot != power.boot


def test_stop_and_start_and_restart(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    ground.platform.stop("one")
    assert ground.services().mine() == []
    assert ground.differences(resource) == {"running:server": "stopped"}
    ground.platform.start("one")
    before = ground.main().pid
    ground.platform.restart("one", "server")
    assert ground.main().pid != before
    with pytest.raises(PlatformError, match="no service 'nothing'"):
        ground.platform.restart("one", "nothing")


@pytest.mark.parametrize("lost", [False, True])
def test_delete_keeps_data_aside_unless_told_otherwise(ground: Ground, *, lost: bool) -> None:
    resource = ground.create(ground.machine())
    place = ground.platform.places.machine("one")
    with ground.platform.account.acting():
        (place.of("/var/lib/server") / "row").write_text("precious")
    if lost:
        place.card.unlink()
    finish(ground.platform.delete(recorded(resource), delete_data=False))
    assert ground.all_processes() == []
    assert not place.folder.exists()
    (kept,) = ground.platform.places.kept.glob("one-*/var/lib/server/row")
    assert kept.read_text() == "precious"
    ground.platform.dispose()
    assert kept.exists()


def test_delete_and_dispose_leave_nothing(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    supervisor = ground.platform.supervisor.pid()
    for done in (1, 2):
        steps = ground.fresh().delete(recorded(resource), delete_data=True)
        for _ in range(done):
            next(steps).run()
    ground.platform.dispose()
    ground.fresh().dispose()
    assert supervisor
    assert processes.find(supervisor) is None
    assert ground.all_processes() == []
    assert list(ground.folder.iterdir()) == []


def test_sockets_lie_in_a_short_folder_that_a_reboot_may_take_away(ground: Ground) -> None:
    deep = Ground(ground.folder / ("deep" * 12), "stack-of-a-long-name")
    resource = deep.create(deep.machine())
    places = deep.platform.places
    assert places.machine("one").runtime.parent == places.short
    assert places.supervisor_socket.parent == places.short
    deep.services().kill_all()
    kill_supervisor(deep)
    deep.services().kill_all()
    shutil.rmtree(places.short)
    assert deep.differences(resource) == {
        "running:server": "stopped",
        "directory:/run/server": None,
        "mode:/run/server": None,
    }
    deep.repair(resource)
    assert deep.differences(resource) == {}
    finish(deep.platform.delete(recorded(resource), delete_data=True))
    deep.platform.dispose()
    assert not places.short.exists()


def test_a_link_in_the_servers_own_folder_leads_nowhere_else(ground: Ground) -> None:
    """A server that was broken into must not have root write where it wants."""
    if os.geteuid() != 0:
        pytest.skip("only root could be misled")
    resource = ground.create(ground.machine())
    target = ground.folder / "of-root"
    target.mkdir(mode=0o755)
    etc = ground.platform.places.machine("one").of("/etc")
    shutil.rmtree(etc)
    etc.symlink_to(target)
    with pytest.raises(PlatformError, match="Permission denied"):
        ground.repair(resource)
    assert list(target.iterdir()) == []


def test_logs_are_followed_through_a_rotation(ground: Ground) -> None:
    ground.create(ground.machine())
    reach = ground.platform.reach("one")
    log = ground.platform.places.machine("one").log("server")
    followed = reach.logs("server", follow=True, lines=1)
    assert next(followed) == "reads first"
    log.rename(log.with_name("server.log.1"))
    log.write_text("after the rotation\n")
    assert next(followed) == "after the rotation"
    with pytest.raises(PlatformError, match="it has logs of: server"):
        next(reach.logs("nothing"))


AS_ORDINARY_USER = """
import sys
sys.path.insert(0, sys.argv[1])
import test_local_platform as t
from pathlib import Path
ground = t.Ground(Path(sys.argv[2]))
resource = ground.create(ground.machine())
assert ground.differences(resource) == {}, ground.differences(resource)
assert ground.platform.account.user is None
t.finish(ground.platform.delete(t.recorded(resource), delete_data=True))
ground.platform.dispose()
print("done", list(ground.folder.iterdir()))
"""


def test_an_ordinary_user_needs_no_root(ground: Ground) -> None:
    if os.geteuid() != 0:
        pytest.skip("the other tests show it")
    home = ground.folder / "home"
    home.mkdir()
    shutil.chown(home, ground.platform.account.name)
    code = textwrap.dedent(AS_ORDINARY_USER)
    done = run(
        [sys.executable, "-c", code, Path(__file__).parent, home],
        user=ground.platform.account.name,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout == "done []\n"


def test_etcd_runs_from_unpacked_packages(ground: Ground) -> None:
    """What `pgstead doctor --fix` does where there is no root."""
    if shutil.which("apt-get") is None:
        pytest.skip("this system has no apt")
    home = ground.folder / "cache"
    home.mkdir()
    try:
        unpack(["etcd-server"], home)
    except CommandFailed as error:
        pytest.skip(f"no package to be had: {error.message}")
    settings = replace(
        Settings(str(ground.folder)), binaries={"etcd": str(home / "packages/bin/etcd")}
    )
    ground.platform = LocalPlatform(settings, ground.name, ground.platform._stack_id)
    (ground.folder / "cache").chmod(0o755)
    resource = ground.create(_etcd(ground))
    assert ground.differences(resource) == {}
    assert ground.main("etcd-1", "etcd").name == "etcd"


def _etcd(ground: Ground) -> Machine:
    address = ground.platform.allocate(["etcd-1"], {})["etcd-1"]
    text = f"""\
name: etcd-1
data-dir: {path("/var/lib/etcd")}
listen-client-urls: http://{address}:2379
advertise-client-urls: http://{address}:2379
listen-peer-urls: http://{address}:2380
initial-advertise-peer-urls: http://{address}:2380
initial-cluster: etcd-1=http://{address}:2380
initial-cluster-state: new  # bootstrap only
"""
    service = Service(
        "etcd", (binary("etcd"), "--config-file", path("/etc/etcd/conf.yml")), ready=Probe(2379)
    )
    software = Software(
        directories=(Directory("/var/lib/etcd", data=True),),
        files=(File("/etc/etcd/conf.yml", text, service="etcd"),),
        services=(service,),
    )
    member = EtcdMember("one", "etcd-1", address, TlsClient("", "", ""))
    return Machine("etcd-1", "etcd-1", address, software, member)
