"""A machine's services: started, awaited, reloaded, restarted and stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.local import processes, sockets
from pgstead.platforms.local.card import Card, ServiceCard
from pgstead.platforms.local.files import make_folder, tail_of
from pgstead.platforms.local.layout import make_runtime
from pgstead.platforms.local.lower import local_mode
from pgstead.platforms.local.places import MachinePlaces, Places
from pgstead.platforms.local.processes import Process
from pgstead.platforms.local.supervisor import DIED, UP, Program, Supervisor, program_name
from pgstead.waiting import wait

ADOPTED = frozenset({"patroni"})
"""Services whose children live on when they are killed alone, and are taken over by the next."""

KILL_SECONDS = 10.0
HEARING_SECONDS = 10.0


@dataclass
class Stagger:
    """Keeps the starts of services of one name apart."""

    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _next: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def turn(self, name: str, seconds: float) -> Iterator[None]:
        """A context to start one in: the next of that name, on whichever machine, comes later.

        `seconds` after this one was started, however long that took.
        """
        with self._locks.setdefault(name, threading.Lock()):
            time.sleep(max(self._next.get(name, 0.0) - time.monotonic(), 0.0))
            yield
            self._next[name] = time.monotonic() + seconds


@dataclass(frozen=True)
class Services:
    """The services of one machine of a stack."""

    places: Places
    stack_id: str
    supervisor: Supervisor
    stagger: Stagger
    card: Card

    @property
    def here(self) -> MachinePlaces:
        """The machine's places."""
        return self.places.machine(self.card.machine)

    def start_all(self, names: Iterable[str] | None = None) -> None:
        """Start the services, all or those named; does not wait until they are ready.

        One that an earlier supervisor left behind is ended: the new one waits for its lock.
        """
        self._prepare()
        self.supervisor.ensure(self._idle)
        self.supervisor.configure(self.card.machine, self.card.services)
        for service in self.card.services:
            if names is None or service.name in names:
                with self.stagger.turn(service.name, service.stagger):
                    self.supervisor.start(self._program(service))
                self._end_orphans(service)

    def wait_ready(self, names: Iterable[str] | None = None) -> None:
        """Wait until the services serve.

        Raises `PlatformError` as soon as one of them dies, and `NotReady` when its time is
        over, both with the last lines of its log.
        """
        for service in self.card.services:
            if names is None or service.name in names:
                self._wait_ready(service)

    def reload(self, name: str) -> None:
        """Have a service read its files again; one that does not run reads them when it starts."""
        service = self.card.service(name)
        number = signal.Signals[f"SIG{service.reload_signal}"]
        for process in self._mains(service):
            _wait_listening(process, number)
            processes.send(process, number)

    def restart(self, name: str) -> None:
        """Stop and start a service, and wait until it is ready."""
        service = self.card.service(name)
        self.stop_one(service)
        self.start_all([name])
        self._wait_ready(service)

    def stop_one(self, service: ServiceCard) -> None:
        """Stop a service cleanly; it is not started again by itself until the next start."""
        if self.supervisor.answers():
            self.supervisor.stop(self._program(service), service.stop_seconds)
        self._end(self._mains(service), service)

    def stop_all(self) -> None:
        """Stop everything that runs on the machine cleanly, and verify that it is gone."""
        self.supervisor.deactivate(self.card.machine)
        for service in reversed(self.card.services):
            self.stop_one(service)
        self.forget_programs()
        self._end_the_rest()

    def cut_off(self) -> None:
        """Kill everything that runs on the machine, verify that it is gone, and start nothing."""
        self.supervisor.deactivate(self.card.machine)
        for program in self._programs():
            self.supervisor.tell_to_stop(program)
        self.kill_all()
        self.forget_programs()
        self.kill_all()

    def forget_programs(self) -> None:
        """Have the supervisor forget this machine's services; they must have ended."""
        seconds = max((one.stop_seconds for one in self.card.services), default=60)
        for program in self._programs():
            self.supervisor.stop(program, seconds)
            self.supervisor.remove(program)

    def _programs(self) -> list[str]:
        """What the supervisor knows of the machine, whatever its card says."""
        suffix = program_name("", self.card.machine)
        return [program for program in self.supervisor.programs() if program.endswith(suffix)]

    def mine(self) -> list[Process]:
        """All processes of the machine, the oldest first."""
        uid = self.places.account.uid
        found = processes.of_stack(self.stack_id, self.places.machines, uid)
        return [one for one in found if one.machine == self.card.machine]

    def mains(self, name: str) -> list[Process]:
        """The main processes of a service; more than one if an earlier supervisor left one."""
        return self._mains(self.card.service(name))

    def kill_all(self) -> None:
        """Kill every process of the machine and verify that all are gone."""
        wait(self._all_killed, deadline=KILL_SECONDS, what=f"{self.card.machine} to be gone")

    def _all_killed(self) -> bool | None:
        remaining = self.mine()
        for process in remaining:
            processes.send(process, signal.SIGKILL)
        return None if remaining else True

    def _end_orphans(self, service: ServiceCard) -> None:
        """End what runs outside the supervisor, whose own waits already: the gap is short.

        What the next instance adopts is not ended: Patroni alone is killed, PostgreSQL stays.
        """
        parent = self.supervisor.pid()
        if parent is None:  # it was killed this very moment: nobody's child is an orphan for sure
            return
        orphans = [one for one in self._mains(service) if one.parent != parent]
        if service.name in ADOPTED:
            self._kill(orphans)
        elif orphans:
            self._end(orphans, service)

    def _prepare(self) -> None:
        """Make what a restart of the system took away, and the folders of locks and logs."""
        with self.places.account.acting():
            make_runtime(self.places, self.here)
            for folder in (self.here.lock("x").parent, self.here.log("x").parent):
                make_folder(folder)
            for path, mode in self.card.directories.items():
                if path not in self.card.data:
                    make_folder(self.here.of(path), local_mode(mode))

    def _idle(self, machines: Collection[str]) -> Iterable[str]:
        """Machines that a new supervisor leaves alone: this one, and all where nothing runs.

        Where something runs that outlived its supervisor, the new one's waits for its lock.
        """
        found = processes.of_stack(self.stack_id, self.places.machines, self.places.account.uid)
        alive = {one.machine for one in found}
        return [name for name in machines if name == self.card.machine or name not in alive]

    def _program(self, service: ServiceCard) -> str:
        return program_name(service.name, self.card.machine)

    def _mains(self, service: ServiceCard) -> list[Process]:
        """The service's main process, and one that an earlier supervisor left, if there is one."""
        return processes.holders(self.here.lock(service.name), self.mine())

    def _wait_ready(self, service: ServiceCard) -> None:
        name = f"{service.name} on {self.card.machine}"
        port = f" on {self.card.address}:{service.port}" if service.port else ""
        try:
            wait(
                lambda: self._serves(service),
                deadline=service.deadline,
                what=f"{name} to be ready{port}",
                interval=(0.03, 0.2),
            )
        except NotReady as error:
            raise NotReady(f"{error.message}\n{self._log(service)}", hint=error.hint) from error

    def _serves(self, service: ServiceCard) -> bool | None:
        program = self.supervisor.programs().get(self._program(service))
        if program is None or program.state in DIED:
            raise self._death(service, program)
        if program.state not in UP:
            return None
        inodes = sockets.on(self.card.address, service.port) if service.port else frozenset()
        if service.port and not inodes:
            return None
        mine = self.mine()
        # Before it holds its lock it is not the server yet, but what starts it.
        main = processes.holders(self.here.lock(service.name), mine)
        if program.pid not in [one.pid for one in main]:
            return None
        return True if not service.port or processes.holds_socket(mine, inodes) else None

    def _death(self, service: ServiceCard, program: Program | None) -> PlatformError:
        name = f"{service.name} on {self.card.machine}"
        if service.port and not sockets.can_bind(self.card.address, service.port):
            who = sockets.who_listens(self.card.address, service.port)
            return PlatformError(
                f"{name} cannot start: {self.card.address}:{service.port} is taken by {who}",
                hint="end that process, or have it listen on an address of its own; then run again",
            )
        why = program.reason if program and program.reason else "it is not supervised"
        return PlatformError(
            f"{name} died while it started: {why}\n{self._log(service)}",
            hint=f"the whole log is in {self.here.log(service.name)}",
        )

    def _log(self, service: ServiceCard) -> str:
        with self.places.account.acting():
            text = tail_of(self.here.log(service.name))
        return f"the last lines of its log:\n{text}" if text else "its log is empty"

    def _end(self, mains: list[Process], service: ServiceCard) -> None:
        """End processes by the service's stop signal, and by force when its time is over."""
        for process in mains:
            processes.send(process, signal.Signals[f"SIG{service.stop_signal}"])
        with suppress(NotReady):
            _wait_gone(mains, service.stop_seconds)
            return
        self._kill(mains)

    def _kill(self, mains: list[Process]) -> None:
        for process in mains:
            processes.send(process, signal.SIGKILL)
        _wait_gone(mains, KILL_SECONDS)

    def _end_the_rest(self) -> None:
        """End what no service holds any more: a PostgreSQL whose Patroni was killed, say."""
        remaining = self.mine()
        if not remaining:
            return
        pids = {one.pid for one in remaining} | {os.getpid()}
        seconds = max((one.stop_seconds for one in self.card.services), default=60)
        for process in remaining:
            if process.parent not in pids:
                # PostgreSQL's fast shutdown; as good as any signal for the others.
                processes.send(process, signal.SIGINT)
        with suppress(NotReady):
            _wait_gone(remaining, seconds)
        self.kill_all()


def _wait_listening(process: Process, number: int) -> None:
    """HAProxy serves some milliseconds before it hears signals, and misses those until then."""
    wait(
        lambda: processes.catches(process, number) or not processes.alive(process),
        deadline=HEARING_SECONDS,
        what=f"{process.name} ({process.pid}) to hear signals",
    )


def _wait_gone(ended: list[Process], seconds: float) -> None:
    names = ", ".join(f"{one.name} ({one.pid})" for one in ended)
    wait(
        lambda: not any(map(processes.alive, ended)) or None,
        deadline=seconds,
        what=f"{names} to end",
    )
