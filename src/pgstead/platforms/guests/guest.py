"""What is done in a machine that runs: waiting for it, files pushed, services told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pgstead.errors import PgsteadError, PlatformError
from pgstead.machine import Directory, File, Machine, Service
from pgstead.platforms.cloud_init import unit_name, unit_path
from pgstead.platforms.guests.lowering import unit_text
from pgstead.reach.base import Finished, Reach
from pgstead.waiting import wait

RESULT = "/var/lib/cloud/data/result.json"
"""What cloud-init writes when it has ended, with the errors of its modules."""

RELOAD_SECONDS = 30.0
RESTART_SECONDS = 120.0

POLL = (0.2, 2.0)
"""Seconds between two looks, at first and at most."""

_PORT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()"


def restart(reach: Reach, machine: str, service: str) -> None:
    """Restart one service of a machine. Raises `PlatformError` if it does not start again."""
    done = reach.run(["systemctl", "restart", f"{service}.service"], timeout=RESTART_SECONDS)
    if done.code != 0:
        raise PlatformError(f"{service} of {machine} did not restart: {done.stderr.strip()}")


class Guest:
    """A machine that runs, by its reach; None where there is no way into it.

    `where` is what it runs on, in words.
    """

    def __init__(self, machine: Machine, where: str, reach: Reach | None) -> None:
        self.machine, self.reach = machine, reach
        self.name = f"{machine.name} on {where}"

    # -- the first boot

    def first_boot_errors(self) -> tuple[str, ...] | None:
        """What cloud-init says went wrong; None while it has not ended.

        Raises `PlatformError` where the machine cannot be asked.
        """
        text = self.way.read(RESULT)
        if text is None:
            return None
        return tuple(str(one) for one in json.loads(text).get("v1", {}).get("errors", []))

    # -- a machine that was set up

    def answers(self) -> bool:
        """Whether the machine can be reached now."""
        return self.reach is not None and answers(self.reach)

    def wait_reached(self, seconds: float) -> None:
        """Until it answers. Raises `NotReady`. Returns at once where there is no way in."""
        if self.reach is not None:
            wait_answers(self.reach, self.name, seconds)

    def wait_ready(self, services: Iterable[Service]) -> None:
        """Until each service's port accepts, as seen from the machine. Raises `NotReady`."""
        for service in services:
            if service.ready is not None and self.reach is not None:
                seconds = service.ready.deadline * self._patience()
                self._wait_port(service, service.ready.port, seconds)

    def _patience(self) -> float:
        """How many times longer than on a machine of its own services may take to start."""
        return 1.0

    def _wait_port(self, service: Service, port: int, seconds: float) -> None:
        words = ["python3", "-c", _PORT, self.machine.address, str(port)]
        wait(
            lambda: self._tried(words),
            deadline=seconds,
            what=f"{service.name} of {self.name} to accept on port {port}",
            error=lambda: self._log(service.name),
            interval=POLL,
        )

    def _tried(self, words: Sequence[str]) -> bool:
        assert self.reach is not None  # noqa: S101 - the caller looked
        try:
            return self.reach.run(words, timeout=15).code == 0
        except PgsteadError:
            return False

    def _log(self, service: str) -> str | None:
        """What a service said last; where it said nothing, what systemd says of it."""
        try:
            lines = list(self.way.logs(service, lines=40))
        except PgsteadError:
            return None
        own = [line for line in lines if " systemd[1]: " not in line]
        return "\n".join((own or lines)[-5:]) or None

    def run(self, words: Sequence[str], *, timeout: float = 60.0) -> Finished:
        """Run a command; raises `PlatformError` if it fails."""
        done = self.way.run(words, timeout=timeout)
        if done.code != 0:
            why = (done.stderr or done.stdout).strip() or f"exit code {done.code}"
            raise PlatformError(f"{' '.join(words[:3])} in {self.name}: {why}")
        return done

    # -- changes

    def push(self, paths: Iterable[str]) -> None:
        """Write those files and make those folders, as the machine's software says."""
        wanted = set(paths)
        software = self.machine.software
        for folder in software.directories:
            if folder.path in wanted:
                self._make_folder(folder)
        for file in software.files:
            if file.path in wanted:
                self.way.push(file)

    def _make_folder(self, folder: Directory) -> None:
        owner = ["-o", folder.owner, "-g", self._group(folder.owner)]
        self.run(["install", "-d", "-m", f"{folder.mode:04o}", *owner, folder.path])

    def _group(self, user: str) -> str:
        return self.run(["id", "-gn", user]).stdout.strip()

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files."""
        if paths:
            self.run(["rm", "-f", "--", *paths])

    def push_units(self, services: Iterable[str]) -> None:
        """Write those services' units."""
        names = list(services)
        for name in names:
            text = unit_text(self.machine, name)
            self.way.push(File(unit_path(name), text, mode=0o644))
        if names:
            self.run(["systemctl", "daemon-reload"])

    def retire(self, services: Sequence[str]) -> None:
        """Stop services for good and remove their units."""
        for name in services:
            self.way.run(["systemctl", "disable", "--now", unit_name(name)], timeout=180)
        self.remove([unit_path(name) for name in services])
        if services:
            self.run(["systemctl", "daemon-reload"])

    def reload(self, service: str) -> None:
        """Have a service read its files again."""
        self.run(["systemctl", "reload", unit_name(service)], timeout=RELOAD_SECONDS)

    def restart(self, name: str) -> None:
        """Restart a service, or start it, and wait until it is ready."""
        service = self._service(name)
        seconds = service.stop_seconds + 30.0
        self.run(["systemctl", "enable", unit_name(name)])
        self.run(["systemctl", "restart", unit_name(name)], timeout=seconds)
        self.wait_ready([service])

    def stop_services(self) -> None:
        """Stop all services cleanly, the last one first."""
        for service in reversed(self.machine.software.services):
            self.run(
                ["systemctl", "stop", unit_name(service.name)], timeout=service.stop_seconds + 30
            )

    def grow_root(self) -> None:
        """Have the system's partition and file system fill the disk."""
        self.run(["sh", "-c", _GROW_ROOT], timeout=120)

    def grow(self, mount: str) -> None:
        """Have the file system at `mount` fill its disk."""
        self.run(["sh", "-c", _GROW, "grow", mount], timeout=300)

    def _service(self, name: str) -> Service:
        for service in self.machine.software.services:
            if service.name == name:
                return service
        raise PlatformError(f"{self.name} has no service {name!r}")

    @property
    def way(self) -> Reach:
        """The way in. Raises `PlatformError` where there is none."""
        if self.reach is None:
            raise PlatformError(
                f"there is no way into {self.name}",
                hint="the stack file says so: see `platform`",
            )
        return self.reach


def answers(reach: Reach) -> bool:
    """Whether a machine can be reached now."""
    try:
        return reach.run(["true"], timeout=10).code == 0
    except PgsteadError:
        return False


def wait_answers(reach: Reach, name: str, seconds: float) -> None:
    """Until the machine of that name can be reached. Raises `NotReady`."""
    wait(lambda: answers(reach), deadline=seconds, what=f"{name} to answer", interval=POLL)


_GROW = """set -eu
device=$(findmnt -no SOURCE "$1")
case $(findmnt -no FSTYPE "$1") in
    xfs) xfs_growfs "$1" ;;
    btrfs) btrfs filesystem resize max "$1" ;;
    *) resize2fs "$device" ;;
esac
"""

_GROW_ROOT = (
    """set -eu
device=$(findmnt -no SOURCE /)
parent=$(lsblk -no PKNAME "$device")
number=$(cat "/sys/class/block/$(basename "$device")/partition")
code=0
growpart "/dev/$parent" "$number" || code=$?
[ "$code" -le 1 ]
set -- /
"""
    + _GROW
)
"""growpart ends with 1 where there is nothing to grow."""
