"""A place to run a machine's software in without a machine: namespaces of its own.

Its network is its own, and so are /etc, /run, /usr/local and /var: what is written there goes
to a folder of the test's. All that runs in it ends with it.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from pgstead.machine import Machine, Service
from pgstead.platforms.cloud_init import conventional
from pgstead.platforms.cloud_init.script import SCRIPT, first_boot_script
from pgstead.waiting import wait
from support.namespaces import UNSHARE, child_of, die_with_us, enter, in_network_of

# Containers take from systemd what is not here: cgroups, and a journal. Their storage is on
# no overlay, where it could not be one itself.
_ENTER = r"""
set -eu
base=$1
ip link set lo up
for each in etc usr/local var; do
    mkdir -p "$base/upper/$each" "$base/work/$each"
    mount -t overlay overlay "/$each" \
        -o "lowerdir=/$each,upperdir=$base/upper/$each,workdir=$base/work/$each"
done
mkdir -p "$base/containers" /var/lib/containers /etc/containers /usr/local/sbin
mount --bind "$base/containers" /var/lib/containers
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
mkdir -p /run/lock
if [ -e /dev/console ]; then mount --bind /dev/null /dev/console; fi
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
cat >/etc/containers/containers.conf <<'EOF'
[containers]
cgroups = "disabled"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
[network]
network_backend = "netavark"
EOF
for each in systemctl systemd-tmpfiles; do ln -sf /bin/true "/usr/local/sbin/$each"; done
touch "$base/ready"
# Not exec: the first process has to collect orphans, which a shell that waits does.
sleep infinity &
wait $!
"""

START_SECONDS = 30.0
BOOT_SECONDS = 120.0


@cache
def why_not() -> str | None:
    """The reason why there can be no such place here; None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "namespaces of its own need Linux and root"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no namespaces can be made: {tried.stderr.strip()}"


@dataclass(frozen=True)
class Cell:
    """A place that is there; `first` is the id of its first process."""

    first: int

    @property
    def enter(self) -> list[str]:
        """The words before a command that shall run in it."""
        return enter(self.first)

    def network(self) -> AbstractContextManager[None]:
        """Be in its network: this thread, and all that it starts meanwhile."""
        return in_network_of(self.first)

    def run(
        self, *words: str, given: str | None = None, code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; it must end with that code, unless that is None."""
        done = subprocess.run(
            [*self.enter, *words],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=BOOT_SECONDS,
            check=False,
        )
        assert code in (None, done.returncode), (words, done)
        return done

    def boot(self, machine: Machine) -> subprocess.CompletedProcess[str]:
        """Do what a machine's first boot does, short of packages and of starting services."""
        machine = conventional(machine)
        for file in machine.software.files:
            self._write(file.path, file.content, file.mode)
        self._write(SCRIPT, first_boot_script(machine, ()), 0o755)
        self.run("ip", "address", "add", f"{machine.address}/32", "dev", "lo")
        return self.run(SCRIPT)

    def _write(self, path: str, text: str, mode: int) -> None:
        place = shlex.quote(path)
        script = f"mkdir -p $(dirname {place}); umask 077; cat >{place}; chmod {mode:o} {place}"
        self.run("sh", "-c", script, given=text)

    @contextmanager
    def serving(self, machine: Machine, service: str) -> Iterator[Serving]:
        """A machine's service, started as systemd would start it; stopped in the end."""
        (found,) = [one for one in conventional(machine).software.services if one.name == service]
        assert found.user == "root"
        process = subprocess.Popen([*self.enter, *found.command], stdin=subprocess.DEVNULL)
        serving = Serving(process, found)
        try:
            yield serving
        finally:
            if process.poll() is None:
                serving.stop()


@dataclass(frozen=True)
class Serving:
    """A service that runs, by the process that entered the cell for it."""

    process: subprocess.Popen[bytes]
    service: Service

    def reload(self) -> None:
        """Have it reload, as systemd does."""
        self._signal(self.service.reload_signal)

    def stop(self) -> int:
        """Have it stop, as systemd does; gives the code that it ended with."""
        self._signal(self.service.stop_signal)
        return self.process.wait(self.service.stop_seconds)

    def cut_off(self) -> None:
        """Kill what it is and what it started, as systemd does once a stop took too long."""
        first = psutil.Process(child_of(self.process.pid))
        for one in (first, *first.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait(self.service.stop_seconds)

    def _signal(self, name: str) -> None:
        os.kill(child_of(self.process.pid), signal.Signals[f"SIG{name}"])


@contextmanager
def cell(folder: Path) -> Iterator[Cell]:
    """A place of its own, whose files lie in that folder; all in it is ended in the end."""
    process = subprocess.Popen(
        [*UNSHARE, "sh", "-c", _ENTER, "_", str(folder)],
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_us,  # noqa: PLW1509 - before any thread that matters here
    )
    try:
        yield wait(
            lambda: _made(process, folder), deadline=START_SECONDS, what="namespaces of its own"
        )
    finally:
        process.kill()
        process.wait(30)


def _made(process: subprocess.Popen[bytes], folder: Path) -> Cell | None:
    assert process.poll() is None, "the namespaces could not be set up"
    if not (folder / "ready").exists():
        return None
    return Cell(child_of(process.pid))
