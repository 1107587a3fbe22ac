"""A domain that runs, and its first boot."""

from __future__ import annotations

import time
from typing import Any

from pgstead.errors import NotReady, PgsteadError, PlatformError
from pgstead.machine import Machine
from pgstead.platforms.cloud_init import DONE, FAILED
from pgstead.platforms.guests.guest import POLL
from pgstead.platforms.guests.guest import Guest as AnyGuest
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console, failing_module_lines
from pgstead.platforms.libvirt.domain_xml import parsed, tray_is_open
from pgstead.platforms.libvirt.errors import explained
from pgstead.reach.base import Reach
from pgstead.waiting import wait

ASK_SECONDS = 30.0
"""How often a machine whose console tells of its first boot is asked besides whether that has
ended: each question takes what the boot needs, above all where processors are emulated."""

_NO_CLOUD_INIT = (
    "cloud-init did not say a word: the image lacks it, or its initrd lacks what a CD on"
    " virtio-scsi takes (the modules virtio_scsi and sr_mod)"
)

EMULATED = 5.0
"""Times longer that services may take to start where processors are emulated."""


class Guest(AnyGuest):
    """A machine that runs, by its reach; without one, by its console."""

    def __init__(self, machine: Machine, host: Host, domain: Any, reach: Reach | None) -> None:
        super().__init__(machine, host.name, reach)
        self.host, self.domain = host, domain
        self._unreached: str | None = None

    def wait_booted(self, console: Console, seconds: float) -> None:
        """Until the guest's system tells of itself. Raises `NotReady` with the console's end."""

        def booted() -> bool:
            if console.says("cloud-init") or console.says("login:") or self._tray_is_open():
                return True
            return self.answers()

        try:
            wait(booted, deadline=seconds, what=f"{self.name} to boot", interval=POLL)
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
                what=f"the first boot of {self.name}",
                error=lambda: self._unreached,
                interval=POLL,
            )
        except NotReady as error:
            raise NotReady(
                f"{error.message}\nits console's last lines:\n{console.tail()}",
                hint=_NO_CLOUD_INIT
                if console.says("login:") and not console.says("cloud-init")
                else "a rerun goes on waiting; platform.cloud_init_deadline gives it longer",
            ) from None

    def _check_runs(self, console: Console) -> None:
        with explained(f"state of {self.name}", self.host.name):
            if not self.domain.isActive():
                raise PlatformError(
                    f"{self.name} ended during its first boot\n{console.tail()}",
                    hint=f"see /var/log/libvirt/{self.host.driver}/{self.domain.name()}.log on"
                    " the host",
                )

    def _has_result(self, console: Console) -> bool:
        """Whether cloud-init has ended, as the machine itself says."""
        try:
            errors = self.first_boot_errors()
        except PgsteadError as error:
            self._unreached = error.message
            return False
        self._unreached = None
        if errors:
            raise self._failed("; ".join(errors), console)
        return errors is not None

    def _failed(self, words: str, console: Console) -> PlatformError:
        lines = failing_module_lines(console.lines())[-15:] or console.tail().splitlines()
        listed = "\n".join(f"  {line}" for line in lines)
        return PlatformError(
            f"the first boot of {self.name} failed: {words}\n{listed}",
            hint="in the machine, /var/log/cloud-init-output.log tells more; remove the machine"
            " (`virsh destroy` and `virsh undefine`) and run the command again to start over",
        )

    def _tray_is_open(self) -> bool:
        with explained(f"state of {self.name}", self.host.name):
            return tray_is_open(parsed(self.domain.XMLDesc()))

    def _patience(self) -> float:
        with explained(f"type of {self.name}", self.host.name):
            emulated = parsed(self.domain.XMLDesc()).get("type") == "qemu"
        return EMULATED if emulated else 1.0
