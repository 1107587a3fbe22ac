"""The local platform with real processes: made, seen, changed, broken, repaired, removed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from pgstead.engine.resource import Data, Present, Recorded, Resource, Steps, Unknown, Value
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
    folder: Path | None
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
        self.addresses: dict[str, str] = {}

    def fresh(self) -> LocalPlatform:
        return LocalPlatform(Settings(self.folder), self.name, self.folder.name.replace("_", "x"))

    def machine(self, name: str = "one", text: str = "first", **changes: object) -> Machine:
        if name not in self.addresses:
            self.addresses |= self.platform.allocate([name], self.addresses)
        address = self.addresses[name]
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
    wait(lambda: "reads second" in ground.log() or None, deadline=20, what="the reload")
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
    assert "supervisor is gone" in ground.platform.trouble()
    ground.platform.supervisor.ensure()
    assert not ground.platform.trouble()
    # The supervisor's own waits for the lock; the orphan still serves, alone.
    assert ground.differences(resource) == {"running:server": "unsupervised"}
    assert [one.pid for one in ground.services().mains("server")] == [orphan.pid]
    ground.repair(resource)
    assert ground.differences(resource) == {}
    assert not processes.alive(orphan)
    orphan = ground.main()
    kill_supervisor(ground)
    ground.platform.start("one")
    assert ground.differences(resource) == {}
    assert not processes.alive(orphan)


def test_what_outlives_its_supervisor_is_stopped_with_its_machine(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    kill_supervisor(ground)
    ground.platform.stop("one")
    assert ground.services().mine() == []
    assert ground.differences(resource) == {"running:server": "stopped"}


def test_there_is_never_a_second_supervisor(ground: Ground) -> None:
    ground.create(ground.machine())
    kill_supervisor(ground)
    stale = ground.platform.places.supervisor / "supervisord.pid"
    assert stale.exists()
    with ThreadPoolExecutor(4) as pool:
        for started in [pool.submit(ground.fresh().supervisor.ensure) for _ in range(4)]:
            started.result()
    assert len(supervisors(ground)) == 1


def supervisors(ground: Ground) -> set[int]:
    """All that run, without what they start while it is still the copy that fork made."""
    config = str(ground.platform.supervisor.config_file)
    parents: dict[int, int] = {}
    psutil.process_iter.cache_clear()  # it may know another process by an id that is used again
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            if config in process.cmdline():
                parents[process.pid] = process.ppid()
    return {pid for pid, parent in parents.items() if parent not in parents}


def test_machines_are_made_side_by_side_with_their_starts_apart(ground: Ground) -> None:
    names = [f"m{number}" for number in range(4)]
    resources = [ground.lower(ground.machine(name, stagger=0.2)) for name in names]
    networks = {address.rpartition(".")[0] for address in ground.addresses.values()}
    assert len(networks) == 1
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
        words = f"{machine.address}:{PORT} is taken by .*process {os.getpid()}"
        assert re.fullmatch(f"{words}.", ground.platform.occupied(ground.addresses)["one"])
        with pytest.raises(PlatformError, match=f"taken by .*process {os.getpid()}"):
            ground.create(machine)
        assert ground.platform.allocate(["one"], {})["one"] != machine.address
    resource = ground.lower(machine)
    finish(ground.platform.create(resource, {}))
    assert ground.differences(resource) == {}
    assert ground.platform.occupied(ground.addresses) == {}


def test_a_server_that_never_listens_is_waited_for_up_to_its_deadline(ground: Ground) -> None:
    machine = ground.machine(command=("/bin/sleep", "1000"), ready=Probe(PORT, deadline=0.5))
    with pytest.raises(NotReady, match=r"server on one to be ready on 127\..*\nits log is empty"):
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
    finish(ground.platform.delete(recorded(resource), data=Data.ASIDE))
    assert ground.all_processes() == []
    assert not place.folder.exists()
    (kept,) = ground.platform.places.kept.glob("one-*/var/lib/server/row")
    assert kept.read_text() == "precious"
    ground.platform.dispose(data=Data.ASIDE)
    assert kept.exists()


def test_delete_and_dispose_leave_nothing(ground: Ground) -> None:
    resource = ground.create(ground.machine())
    supervisor = ground.platform.supervisor.pid()
    for done in (1, 2):
        steps = ground.fresh().delete(recorded(resource), data=Data.DELETE)
        for _ in range(done):
            next(steps).run()
    ground.platform.dispose(data=Data.DELETE)
    ground.fresh().dispose(data=Data.DELETE)
    assert supervisor
    assert processes.find(supervisor) is None
    assert ground.all_processes() == []
    assert list(ground.folder.iterdir()) == []


def test_sockets_lie_in_a_short_folder_that_a_reboot_may_take_away(ground: Ground) -> None:
    deep = Ground(ground.folder / f"{'deep' * 10}{own(ground)}", "stack-of-a-long-name")
    resource = deep.create(deep.machine())
    places = deep.platform.places
    assert places.machine("one").runtime.parent == places.short
    assert places.supervisor_socket.parent == places.short
    kill_supervisor(deep)  # first: it starts again what dies
    deep.services().kill_all()
    shutil.rmtree(places.short)
    assert deep.differences(resource) == {
        "running:server": "stopped",
        "directory:/run/server": None,
        "mode:/run/server": None,
    }
    deep.repair(resource)
    assert deep.differences(resource) == {}
    finish(deep.platform.delete(recorded(resource), data=Data.DELETE))
    deep.platform.dispose(data=Data.DELETE)
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
    with pytest.raises(PlatformError, match="no log of a service 'nothing'") as caught:
        next(reach.logs("nothing"))
    assert caught.value.hint == "it has logs of: server"


AS_ORDINARY_USER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_local_platform
getattr(test_local_platform, sys.argv[2])(Path(sys.argv[3]))
"""


def own(ground: Ground) -> str:
    """A folder's name: processes are known by it, so that no other run of a test has it."""
    return ground.folder.name.removeprefix("pgs")


def as_ordinary_user(ground: Ground, work: Callable[[Path], None]) -> None:
    """Do some of this file's work as the user that servers run as."""
    home = ground.folder / own(ground)
    home.mkdir()
    if os.geteuid() != 0:
        work(home)
        return
    user = ground.platform.account.name
    shutil.chown(home, user)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    words: list[str | Path] = [
        sys.executable,
        "-c",
        AS_ORDINARY_USER,
        Path(__file__).parent,
        work.__name__,
        home,
    ]
    run(words, user=user, env=environment)


def live_and_die(home: Path) -> None:
    ground = Ground(home)
    resource = ground.create(ground.machine())
    assert ground.differences(resource) == {}
    assert ground.platform.account.user is None
    finish(ground.platform.delete(recorded(resource), data=Data.DELETE))
    ground.platform.dispose(data=Data.DELETE)
    assert list(home.iterdir()) == []


def test_an_ordinary_user_needs_no_root(ground: Ground) -> None:
    as_ordinary_user(ground, live_and_die)


def run_unpacked(home: Path) -> None:
    unpack(["etcd-server"], home)
    ground = Ground(home)
    binaries = {"etcd": str(home / "packages/bin/etcd")}
    known = ground.platform._stack_id
    ground.platform = LocalPlatform(Settings(home, binaries=binaries), "ground", known)
    resource = ground.create(etcd(ground))
    try:
        assert ground.differences(resource) == {}
        main = ground.main("etcd-1", "etcd")
        assert Path(f"/proc/{main.pid}/exe").readlink().is_relative_to(home)
    finally:
        finish(ground.platform.delete(recorded(resource), data=Data.DELETE))
        ground.platform.dispose(data=Data.DELETE)


def test_etcd_runs_from_unpacked_packages(ground: Ground) -> None:
    """What `pgstead doctor --fix` does where there is no root."""
    if shutil.which("apt-get") is None:
        pytest.skip("this system has no apt")
    try:
        as_ordinary_user(ground, run_unpacked)
    except CommandFailed as error:
        if "apt-get download" in error.message:
            pytest.skip(f"no package to be had: {error.message}")
        raise


def etcd(ground: Ground) -> Machine:
    ground.addresses |= ground.platform.allocate(["etcd-1"], ground.addresses)
    address = ground.addresses["etcd-1"]
    text = f"""\
name: etcd-1
data-dir: {path("/var/lib/etcd")}
listen-client-urls: http://{address}:2379
advertise-client-urls: http://{address}:2379
listen-peer-urls: http://{address}:2380
initial-advertise-peer-urls: http://{address}:2380
initial-cluster: etcd-1=http://{address}:2380
initial-cluster-state: new  # bootstrap only
enable-grpc-gateway: true
"""
    service = Service(
        "etcd", (binary("etcd"), "--config-file", path("/etc/etcd/conf.yml")), ready=Probe(2379)
    )
    file = File("/etc/etcd/conf.yml", text, service="etcd")
    return real("etcd-1", address, file, service, "/var/lib/etcd")


def real(name: str, address: str, file: File, service: Service, data: str) -> Machine:
    software = Software(
        directories=(Directory(data, data=True), Directory("/run/postgresql")),
        files=(file,),
        services=(service,),
    )
    return Machine(
        name, name, address, software, EtcdMember("", name, address, TlsClient("", "", ""))
    )


def patroni(ground: Ground, etcd_address: str) -> Machine:
    ground.addresses |= ground.platform.allocate(["pg"], ground.addresses)
    address = ground.addresses["pg"]
    text = f"""scope: one
name: pg
restapi: {{listen: "{address}:4443", connect_address: "{address}:4443"}}
etcd3: {{host: "{etcd_address}:2379"}}
bootstrap:
  dcs: {{ttl: 20, loop_wait: 1, retry_timeout: 8}}
  initdb: [{{encoding: UTF8}}, no-sync]
postgresql:
  listen: "{address}:5432"
  connect_address: "{address}:5432"
  data_dir: {path("/var/lib/postgresql/data")}
  bin_dir: "@{{dir:postgresql}}"
  pgpass: {path("/var/lib/postgresql/pgpass")}
  pg_hba: [local all all trust, host all all 127.0.0.0/8 trust]
  parameters: {{unix_socket_directories: "{path("/run/postgresql")}", shared_buffers: 16MB}}
  authentication:
    superuser: {{username: postgres}}
    replication: {{username: replicator}}
"""
    command = (binary("patroni"), path("/etc/patroni/patroni.yml"))
    service = Service("patroni", command, ready=Probe(4443), stop_seconds=30)
    file = File("/etc/patroni/patroni.yml", text, service="patroni", on_change=OnChange.RELOAD)
    return real("pg", address, file, service, "/var/lib/postgresql/data")


def postmaster(ground: Ground) -> int:
    """The process id of the PostgreSQL that accepts connections."""
    reach = ground.platform.reach("pg")

    def accepting() -> int | None:
        lines = (reach.read("/var/lib/postgresql/data/postmaster.pid") or "").splitlines()
        ready = len(lines) > 7 and lines[7].strip() == "ready" and processes.find(int(lines[0]))
        return int(lines[0]) if ready else None

    return wait(accepting, deadline=40, what="PostgreSQL")


def test_postgresql_lives_on_while_its_patroni_is_taken_over(ground: Ground) -> None:
    store = ground.create(etcd(ground))
    resource = ground.create(patroni(ground, store.place["address"]))
    before = postmaster(ground)
    orphan = ground.main("pg", "patroni")
    kill_supervisor(ground)
    assert ground.differences(resource) == {"running:patroni": "unsupervised"}
    ground.repair(resource)
    assert ground.differences(resource) == {}
    assert not processes.alive(orphan)
    assert postmaster(ground) == before
    ground.repair(store)
    # Every process of PostgreSQL is known for one of the machine's, their titles notwithstanding.
    names = [one.name for one in ground.services("pg").mine()]
    assert names.count("postgres") > 4
    os.kill(ground.main("pg", "patroni").pid, signal.SIGKILL)
    ground.platform.power_off("pg", ground.platform.power("pg").boot)
    assert {one.machine for one in ground.all_processes()} == {"etcd-1"}
    ground.platform.start("pg")
    assert postmaster(ground) != before
    ground.platform.stop("pg")
    assert {one.machine for one in ground.all_processes()} == {"etcd-1"}


def test_there_is_never_a_second_haproxy(ground: Ground) -> None:
    ground.addresses |= ground.platform.allocate(["lb"], ground.addresses)
    address = ground.addresses["lb"]
    text = f"""defaults
  timeout connect 1s
  timeout client 1s
  timeout server 1s
listen one
  bind {address}:5432
  server none {address}:1
"""
    command = (binary("haproxy"), "-W", "-db", "-f", path("/etc/haproxy/haproxy.cfg"))
    service = Service("haproxy", command, ready=Probe(5432), reload_signal="USR2", stop_seconds=10)
    file = File("/etc/haproxy/haproxy.cfg", text, service="haproxy", on_change=OnChange.RELOAD)
    resource = ground.create(real("lb", address, file, service, "/var/lib/haproxy"))
    master = ground.main("lb", "haproxy")
    workers = [one.pid for one in ground.services("lb").mine() if one.pid != master.pid]
    ground.services("lb").reload("haproxy")
    wait(lambda: not any(map(processes.find, workers)) or None, deadline=10, what="the new worker")
    assert ground.main("lb", "haproxy").identity == master.identity
    kill_supervisor(ground)
    ground.platform.supervisor.ensure()
    assert ground.differences(resource) == {"running:haproxy": "unsupervised"}
    assert ground.main("lb", "haproxy").identity == master.identity
    ground.repair(resource)
    assert ground.differences(resource) == {}
    assert ground.main("lb", "haproxy").identity != master.identity
