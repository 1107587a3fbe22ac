"""The supervisor of a stack: one supervisord, which outlives pgstead and restarts what dies.

Each service is a group of its own, `<service>@<machine>`, so that one can be added, changed
and removed without touching another. A machine's services stand in one file below
`machines/`; a machine that was stopped has it below `stopped/`, so that no supervisor
starts it again by itself.
"""

from __future__ import annotations

import shlex
import sys
import threading
import xmlrpc.client
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.local import processes, rotation, rpc
from pgstead.platforms.local.card import ServiceCard
from pgstead.platforms.local.files import (
    explained,
    make_folder,
    own_folder,
    read_file,
    tail_of,
    write_file,
)
from pgstead.platforms.local.places import MachinePlaces, Places
from pgstead.platforms.local.script import SEARCH_PATH
from pgstead.run import failure, run
from pgstead.waiting import wait

SCRIPT = "supervise.py"
_LOCKED = 75
STOP_SECONDS = 90.0
"""The longest that a service, or the supervisor, is waited for to end."""


class State(IntEnum):
    """The states of a program (supervisor.states.ProcessStates)."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30
    STOPPING = 40
    EXITED = 100
    FATAL = 200
    UNKNOWN = 1000


UP = (State.STARTING, State.RUNNING)
DIED = (State.BACKOFF, State.EXITED, State.FATAL, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Program:
    """A service as the supervisor sees it; `pid` is 0 while it does not run."""

    state: State
    pid: int
    reason: str = ""


def program_name(service: str, machine: str) -> str:
    """The supervisor's name of a service."""
    return f"{service}@{machine}"


class Supervisor:
    """Starts, asks and tells the stack's supervisord. Safe to use from several threads."""

    def __init__(self, places: Places, stack_id: str) -> None:
        self._places = places
        self._stack_id = stack_id
        self._starting = threading.Lock()
        self._changing = threading.Lock()

    def ensure(self, idle: Callable[[Collection[str]], Iterable[str]] = lambda _: ()) -> None:
        """Start supervisord unless it runs; whatever an earlier one left lying is no obstacle.

        It starts all that is written down at one instant. `idle` gives those of the machines
        that it shall leave alone, to be started by their own start.
        """
        with self._starting:
            if self.answers():
                return
            with self._places.account.acting(), explained(self._active):
                machines = [path.stem for path in self._active.glob("*.conf")]
            for machine in idle(machines):
                self.deactivate(machine)
            self._start()

    def answers(self) -> bool:
        """Whether it runs and takes orders."""
        try:
            self._call("getState", timeout=5.0)
        except rpc.NotListeningError:
            return False
        except xmlrpc.client.Fault:  # it shuts down
            return False
        return True

    def programs(self) -> dict[str, Program]:
        """All services by their names; empty if it does not run."""
        try:
            answer = self._call("getAllProcessInfo")
        except rpc.NotListeningError:
            return {}
        return {
            f"{one['name']}": Program(State(one["state"]), one["pid"], one["spawnerr"])
            for one in answer
        }

    def configure(self, machine: str, services: Iterable[ServiceCard]) -> None:
        """Write down a machine's services, to be started with every start of the supervisor."""
        places = self._places.machine(machine)
        text = "\n".join(_program(one, machine, places) for one in services)
        with self._places.account.acting():
            make_folder(self._active.parent)
            write_file(self._active / f"{machine}.conf", text)
            (self._stopped / f"{machine}.conf").unlink(missing_ok=True)

    def deactivate(self, machine: str) -> None:
        """No longer start that machine's services by itself."""
        active = self._active / f"{machine}.conf"
        with self._places.account.acting(), explained(active):
            if active.exists():
                make_folder(self._stopped)
                active.replace(self._stopped / active.name)

    def forget(self, machine: str) -> None:
        """Remove what was written down of a machine."""
        with self._places.account.acting(), explained(self._active):
            for folder in (self._active, self._stopped):
                (folder / f"{machine}.conf").unlink(missing_ok=True)

    def start(self, program: str) -> None:
        """Start a service that was configured; one that runs is left alone."""
        with self._changing:
            known = self.programs().get(program)
            if known and known.state in UP:
                return
            if known:
                self._remove(program)
            self._tolerate("reloadConfig")
            self._tolerate("addProcessGroup", program, faults=(rpc.ALREADY_ADDED,))
            # It starts by itself as well, but a second later.
            self._tolerate("startProcess", program, False, faults=(rpc.ALREADY_STARTED,))

    def tell_to_stop(self, program: str) -> None:
        """Send the stop signal and return at once; it is not started again."""
        with suppress(rpc.NotListeningError):
            faults = (rpc.NOT_RUNNING, rpc.BAD_NAME)
            self._tolerate("stopProcess", program, False, faults=faults)

    def stop(self, program: str, seconds: float) -> None:
        """Stop a service and wait until it has ended."""
        self.tell_to_stop(program)
        # supervisord kills it itself when its time is over, and needs a moment for that.
        wait(lambda: self._is_down(program), deadline=seconds + 10, what=f"{program} to stop")

    def remove(self, program: str) -> None:
        """Forget a service that has ended."""
        with self._changing:
            self._remove(program)

    def shutdown(self) -> None:
        """Stop all services and end; returns when it has ended."""
        pid = self.pid()
        process = processes.find(pid) if pid else None
        if process is None:
            return
        self._tolerate("shutdown", faults=(rpc.SHUTTING_DOWN,))

        def ended() -> bool | None:
            if not processes.alive(process):
                return True
            self.answers()  # else it looks around once a second only
            return None

        wait(ended, deadline=STOP_SECONDS, what="the supervisor to end")

    def pid(self) -> int | None:
        """Its process id; None if it does not run."""
        try:
            return int(self._call("getPID"))
        except (rpc.NotListeningError, xmlrpc.client.Fault):
            return None

    @property
    def config_file(self) -> Path:
        """Its configuration."""
        return self._places.supervisor / "supervisord.conf"

    @property
    def command(self) -> list[str]:
        """What starts it: it holds a lock as long as it lives, so that there is never a second."""
        lock = str(self._places.supervisor / "lock")
        exclusive = ["flock", "--no-fork", "--nonblock", "--conflict-exit-code", str(_LOCKED), lock]
        daemon = [sys.executable, str(self._script)]
        return [*exclusive, *daemon, "-c", str(self.config_file)]

    @property
    def _script(self) -> Path:
        """The script that runs supervisord."""
        return self._places.supervisor / SCRIPT

    def prepare(self) -> None:
        """Make its folders and its configuration."""
        account = self._places.account
        with account.acting():
            for folder in (self._places.supervisor, self._active, self._stopped):
                make_folder(folder)
            if self._places.supervisor_socket.parent == self._places.short:
                own_folder(self._places.short.parent, account.uid)
                own_folder(self._places.short, account.uid)
            write_file(self.config_file, self._config())
            write_file(self._script, files(__package__).joinpath(SCRIPT).read_text())
            write_file(self._places.supervisor / rotation.NAME, rotation.script(self._places))

    def _start(self) -> None:
        self.prepare()
        home = str(self._places.supervisor)
        environment = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "HOME": home}
        user = self._places.account.user
        finished = run(
            self.command, user=user, env=environment, cwd=Path(home), timeout=60, check=False
        )
        if finished.code not in (0, _LOCKED):
            raise PlatformError(
                f"the supervisor did not start: {failure(finished).message}",
                hint="`pgstead doctor` checks whether its user may run this Python",
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        try:
            wait(lambda: self.answers() or None, deadline=30, what="the supervisor to answer")
        except NotReady as error:
            log = tail_of(self._places.supervisor / "supervisord.log")
            pid = (read_file(self._places.supervisor / "supervisord.pid") or "?").strip()
            raise PlatformError(
                f"the supervisor (process {pid}) runs but does not answer\n{log}",
                hint=f"end it (`kill -9 {pid}`), the servers stay; then run again",
            ) from error

    def _is_down(self, program: str) -> bool | None:
        found = self.programs().get(program)
        return True if found is None or found.state not in (*UP, State.STOPPING) else None

    def _remove(self, program: str) -> None:
        """Remove it once it is down; one that keeps dying may be up again at any moment."""
        wait(lambda: self._try_to_remove(program), deadline=STOP_SECONDS, what=f"{program} to end")

    def _try_to_remove(self, program: str) -> bool | None:
        self.tell_to_stop(program)
        try:
            self._call("removeProcessGroup", program)
        except rpc.NotListeningError:
            return True
        except xmlrpc.client.Fault as fault:
            return True if fault.faultCode == rpc.BAD_NAME else None
        return True

    def _tolerate(self, method: str, *arguments: str | bool, faults: tuple[int, ...] = ()) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in faults:
                words = " ".join([method, *map(str, arguments)])
                raise PlatformError(
                    f"the supervisor refused {words}: {fault.faultString}"
                ) from fault

    def _call(self, method: str, *arguments: str | bool, timeout: float = 30.0) -> Any:
        socket = self._places.supervisor_socket
        return rpc.call(socket, f"supervisor.{method}", *arguments, timeout=timeout)

    @property
    def _active(self) -> Path:
        return self._places.supervisor / "machines"

    @property
    def _stopped(self) -> Path:
        return self._places.supervisor / "stopped"

    def _config(self) -> str:
        folder = self._places.supervisor
        return f"""\
[unix_http_server]
file = {_value(self._places.supervisor_socket)}
chmod = 0700

[supervisord]
logfile = {_value(folder / "supervisord.log")}
logfile_maxbytes = 5MB
logfile_backups = 2
pidfile = {_value(folder / "supervisord.pid")}
directory = {_value(folder)}
identifier = pgstead-{self._stack_id}
umask = 077
nocleanup = true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

{rotation.listener(_value)}
[include]
files = machines/*.conf
"""


def _program(service: ServiceCard, machine: str, places: MachinePlaces) -> str:
    """A service's part of the configuration.

    It is started again for ever: the pause between two attempts grows by a second each time.
    Only the main process gets signals: Patroni and HAProxy look after their own.
    """
    return f"""\
[program:{program_name(service.name, machine)}]
command = /bin/sh {_value(shlex.quote(str(places.script(service.name))))}
directory = {_value(places.folder)}
autostart = true
autorestart = true
startsecs = 1
startretries = 1000000000
stopsignal = {service.stop_signal}
stopwaitsecs = {service.stop_seconds}
stopasgroup = false
killasgroup = false
redirect_stderr = true
stdout_logfile = NONE
"""


def _value(text: str | Path) -> str:
    """A value in supervisor's configuration.

    `%` starts an expansion there (and supervisor 4.3 expands the name of a log twice, so that
    doubling it does not help), ` ;` a comment. Raises `PlatformError` where there is one.
    """
    value = str(text)
    if "%" in value or " ;" in value or "\n" in value:
        raise PlatformError(
            f"the supervisor cannot work in {value!r}: a percent sign, a semicolon after a space, "
            "or the end of a line stands in it",
            hint="name another place in platform.folder",
        )
    return value
