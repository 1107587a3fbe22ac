"""The steps that set up a server that runs: by ssh, or by listening to how it does it itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pgstead.engine.resource import Resource, Step, Steps
from pgstead.errors import PgsteadError, PlatformError
from pgstead.machine import Machine
from pgstead.platforms.cloud_init import DONE, FAILED
from pgstead.platforms.guests.guest import POLL, Guest
from pgstead.platforms.guests.laying import lay_down
from pgstead.platforms.guests.pushing import settle
from pgstead.platforms.openstack import servers
from pgstead.platforms.openstack.disks import MachineDisks
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.naming import KEY
from pgstead.platforms.openstack.servers import Server
from pgstead.run import tail
from pgstead.waiting import wait

SET_UP = f"{KEY}set_up"
"""Metadata of a server whose machine was set up once."""

_LINES = 15


def is_set_up(server: Server) -> bool:
    """Whether its machine was set up once."""
    return SET_UP in server.about


class SettingUp:
    """Sets up one machine. `disks` and `server` are given by who knows of them already."""

    def __init__(
        self,
        ground: Ground,
        resource: Resource,
        bindings: Mapping[str, str],
        disks: MachineDisks | None = None,
        server: Callable[[], Server | None] = lambda: None,
    ) -> None:
        self.ground, self.resource, self.bindings = ground, resource, bindings
        self.machine: Machine = resource.body
        self.name = self.machine.name
        self.disks = disks or MachineDisks(ground, resource)
        self._known = server
        self._server: Server | None = None

    def steps(self) -> Steps:
        """First boot, software, readiness."""
        name = self.name
        if self.ground.reach_of is None:
            yield Step(f"wait for the first boot of {name}", self.wait_first_boot)
            return
        yield Step(f"wait until {name} answers", self.wait_reached)
        yield Step(f"set up {name}", self.set_up)
        yield Step(f"wait until {name} is ready", self.wait_ready)

    def wait_reached(self) -> None:
        """Until it answers, and cloud-init has let us in for good."""
        guest = self._guest()
        guest.wait_reached(self.ground.settings.boot_deadline)
        if is_set_up(self.server):
            return
        wait(
            lambda: self._first_boot_ended(guest),
            deadline=self.ground.settings.cloud_init_deadline,
            what=f"the first boot of {guest.name}",
            interval=POLL,
        )

    def _first_boot_ended(self, guest: Guest) -> bool:
        try:
            errors = guest.first_boot_errors()
        except PgsteadError:
            return False
        if errors:
            raise PlatformError(
                f"the first boot of {guest.name} failed: {'; '.join(errors)}",
                hint="in the machine, /var/log/cloud-init-output.log tells more",
            )
        return errors is not None

    def set_up(self) -> None:
        """Bring everything that it is to have, once."""
        if not is_set_up(self.server):
            found = self.disks.must()
            lay_down(self._guest(), self.bindings, found.data_ids)
            self._note()

    def wait_ready(self) -> None:
        """Until its services are ready, each as it should be."""
        guest = self._guest()
        settle(guest, self.resource)
        guest.wait_ready(self.machine.software.services)

    def wait_first_boot(self) -> None:
        """Where nothing gets in: until the console says that the first boot has ended well."""
        seconds = self.ground.settings.cloud_init_deadline
        if is_set_up(self.server):
            return
        if seconds:
            wait(
                self._heard,
                deadline=seconds,
                what=f"the console of {self.name} to tell that its first boot is done",
                error=self._last_said,
                interval=POLL,
            )
        self._note()

    def _heard(self) -> bool:
        try:
            said = servers.console(self.ground, self.server)
        except PgsteadError:  # told in the end
            return False
        if FAILED in said:
            raise PlatformError(
                f"the first boot of {self.name} failed:\n{tail(said, _LINES)}",
                hint="`openstack console log show` tells all; delete the server to start over",
            )
        return DONE in said

    def _last_said(self) -> str:
        try:
            return tail(servers.console(self.ground, self.server)) or "it says nothing"
        except PgsteadError as error:
            return f"{error.message}; cloud_init_deadline: 0 does without"

    def _note(self) -> None:
        """Write down that it is set up: on the data first, which counts for more."""
        self.disks.note_data(self.disks.must())
        servers.note(self.ground, self.server, {SET_UP: "yes"})

    @property
    def server(self) -> Server:
        """The machine's server, as it was when these steps began."""
        if self._server is None:
            self._server = self._known() or servers.require(self.ground, self.name)
        return self._server

    def _guest(self) -> Guest:
        return self.ground.guest(self.machine)
