"""What is done in a machine that runs: waiting for it, files pushed, services told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from pgstead.errors import NotReady, PgsteadError, PlatformError
from pgstead.machine import Directory, File, Machine, Service
from pgstead.platforms.cloud_init import DONE, FAILED, unit_name, unit_path
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console, failing_module_lines
from pgstead.platforms.libvirt.domain_xml import parsed, tray_is_open
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.lower import unit_text
from pgstead.reach.base import Finished, Reach
from pgstead.waiting import wait

RESULT = "/var/lib/cloud/data/result.json"
"""What cloud-init writes when it has ended, with the errors of its modules."""

ASK_SECONDS = 30.0
"""How often a machine whose console tells of its first boot is asked besides whether that has
ended: each question takes what the boot needs, above all where processors are emulated."""

_NO_CLOUD_INIT = (
    "cloud-init did not say a word: the image lacks it, or its initrd lacks what a CD on"
    " virtio-scsi takes (the modules virtio_scsi and sr_mod)"
)

RELOAD_SECONDS = 30.0
EMULATED = 5.0
"""Times longer that services may take to start where processors are emulated."""

_POLL = (0.2, 2.0)
_PORT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()"


class Guest:
    """A machine that runs, by its reach; without one, by its console."""

    def __init__(self, machine: Machine, host: Host, domain: Any, reach: Reach | None) -> None:
        self.machine, self.host, self.domain, self.reach = machine, host, domain, reach
        self._unreached: str | None = None

    # -- the first boot

    def wait_booted(self, console: Console, seconds: float) -> None:
        """Until the guest's system tells of itself. Raises `NotReady` with the console's end."""

        def booted() -> bool:
            if console.says("cloud-init") or console.says("login:") or self._tray_is_open():
                return True
            return self.answers()

        try:
            wait(booted, deadline=seconds, what=f"{self._name} to boot", interval=_POLL)
        except NotReady as error:
            raise NotReady(
                f"{error.message}\nits console's last lines:\n{console.tail()}",
                hint="platform.boot_deadline gives it longer; without KVM a boot takes minutes;"
                f" `virsh console {self.domain.name()}` shows it",
            ) from None

    def wait_first_boot(self, console: Console, seconds: float) -> None:
        """Until cloud-init has ended well. Raises `PlatformError` with what failed."""
        asked = time.monotonic()

        def ended() -> bool:
            nonlocal asked
            self._check_runs(console)
            if (line := console.says(FAILED)) is not None:
                raise self._failed(line, console)
            heard = self._tray_is_open() or console.says(DONE) is not None
            if self.reach is None:
                return heard
            talks = console.says("cloud-init") is not None
            if talks and not heard and time.monotonic() < asked + ASK_SECONDS:
                return False
            asked = time.monotonic()
            return self._has_result(console)

        try:
            wait(
                ended,
                deadline=seconds,
                what=f"the first boot of {self._name}",
                error=lambda: self._unreached,
                interval=_POLL,
            )
        except NotReady as error:
            raise NotReady(
                f"{error.message}\nits console's last lines:\n{console.tail()}",
                hint=_NO_CLOUD_INIT
                if console.says("login:") and not console.says("cloud-init")
                else "a rerun goes on waiting; platform.cloud_init_deadline gives it longer",
            ) from None

    def _check_runs(self, console: Console) -> None:
        with explained(f"state of {self._name}", self.host.name):
            if not self.domain.isActive():
                raise PlatformError(
                    f"{self._name} ended during its first boot\n{console.tail()}",
                    hint=f"see /var/log/libvirt/{self.host.driver}/{self.domain.name()}.log on"
                    " the host",
                )

    def _has_result(self, console: Console) -> bool:
        """Whether cloud-init has ended, as the machine itself says."""
        assert self.reach is not None  # noqa: S101 - the caller looked
        try:
            text = self.reach.read(RESULT)
        except PgsteadError as error:
            self._unreached = error.message
            return False
        self._unreached = None
        if text is None:
            return False
        errors = [str(one) for one in json.loads(text).get("v1", {}).get("errors", [])]
        if errors:
            raise self._failed("; ".join(errors), console)
        return True

    def _failed(self, words: str, console: Console) -> PlatformError:
        lines = failing_module_lines(console.lines())[-15:] or console.tail().splitlines()
        listed = "\n".join(f"  {line}" for line in lines)
        return PlatformError(
            f"the first boot of {self._name} failed: {words}\n{listed}",
            hint="in the machine, /var/log/cloud-init-output.log tells more; remove the machine"
            " (`virsh destroy` and `virsh undefine`) and run the command again to start over",
        )

    def _tray_is_open(self) -> bool:
        with explained(f"state of {self._name}", self.host.name):
            return tray_is_open(parsed(self.domain.XMLDesc()))

    # -- a machine that was set up

    def answers(self) -> bool:
        """Whether the machine can be reached now."""
        if self.reach is None:
            return False
        try:
            return self.reach.run(["true"], timeout=10).code == 0
        except PgsteadError:
            return False

    def wait_reached(self, seconds: float) -> None:
        """Until it answers. Raises `NotReady`. Returns at once where there is no way in."""
        if self.reach is not None:
            wait(self.answers, deadline=seconds, what=f"{self._name} to answer", interval=_POLL)

    def wait_ready(self, services: Iterable[Service]) -> None:
        """Until each service's port accepts, as seen from the machine. Raises `NotReady`."""
        for service in services:
            if service.ready is not None and self.reach is not None:
                seconds = service.ready.deadline * self._patience()
                self._wait_port(service, service.ready.port, seconds)

    def _patience(self) -> float:
        with explained(f"type of {self._name}", self.host.name):
            emulated = parsed(self.domain.XMLDesc()).get("type") == "qemu"
        return EMULATED if emulated else 1.0

    def _wait_port(self, service: Service, port: int, seconds: float) -> None:
        words = ["python3", "-c", _PORT, self.machine.address, str(port)]
        wait(
            lambda: self._tried(words),
            deadline=seconds,
            what=f"{service.name} of {self._name} to accept on port {port}",
            error=lambda: self._log(service.name),
            interval=_POLL,
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
            lines = list(self._way.logs(service, lines=40))
        except PgsteadError:
            return None
        own = [line for line in lines if " systemd[1]: " not in line]
        return "\n".join((own or lines)[-5:]) or None

    def run(self, words: Sequence[str], *, timeout: float = 60.0) -> Finished:
        """Run a command; raises `PlatformError` if it fails."""
        done = self._way.run(words, timeout=timeout)
        if done.code != 0:
            why = (done.stderr or done.stdout).strip() or f"exit code {done.code}"
            raise PlatformError(f"{' '.join(words[:3])} in {self._name}: {why}")
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
                self._way.push(file)

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
            self._way.push(File(unit_path(name), text, mode=0o644))
        if names:
            self.run(["systemctl", "daemon-reload"])

    def retire(self, services: Sequence[str]) -> None:
        """Stop services for good and remove their units."""
        for name in services:
            self._way.run(["systemctl", "disable", "--now", unit_name(name)], timeout=180)
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
        raise PlatformError(f"{self._name} has no service {name!r}")

    @property
    def _way(self) -> Reach:
        if self.reach is None:
            raise PlatformError(
                f"there is no way into {self._name} (platform.reach is none)",
                hint="set platform.reach to ssh or guest_agent",
            )
        return self.reach

    @property
    def _name(self) -> str:
        return f"{self.machine.name} on {self.host.name}"


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
