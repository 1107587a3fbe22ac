"""The volumes of one machine: made, found, waited for; what this run knows of them is kept."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.engine.resource import Resource
from pgstead.errors import PlatformError, Refused
from pgstead.machine import Machine
from pgstead.platforms.guests.lowering import DATA_DISK
from pgstead.platforms.openstack import attachments, volumes
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.volumes import Volume

VOID = ("error", "error_deleting", volumes.DELETING, *volumes.MAKING)
"""What a volume is of which nothing comes any more, once its time is up."""


@dataclass(frozen=True, slots=True)
class Disks:
    """Volumes of a machine; None where it has none for that use."""

    system: Volume | None
    data: Volume | None

    @property
    def data_ids(self) -> tuple[str, ...]:
        """The data disk's names in /dev/disk/by-id: by virtio-blk, virtio-scsi, other SCSI."""
        if self.data is None:
            return ()
        ident = self.data.id
        return (
            f"virtio-{ident[:20]}",
            f"scsi-0QEMU_QEMU_HARDDISK_{ident}",
            f"wwn-0x{ident.replace('-', '')}",
        )


class MachineDisks:
    """Makes and finds the volumes of one machine; a `new` one has none that this did not make."""

    def __init__(self, ground: Ground, resource: Resource, *, new: bool = False) -> None:
        self.ground, self.resource = ground, resource
        self.machine: Machine = resource.body
        self._new, self._known = new, dict[str, Volume]()

    @property
    def zone(self) -> str | None:
        """The availability zone that the machine is asked for in."""
        zone = self.machine.guest.cloud.availability_zone or self.resource.place.get("zone")
        return str(zone) if zone else None

    def ask(self) -> None:
        """Ask for those that are not there yet; they are not waited for."""
        guest = self.machine.guest
        if self._own_system and self._found(volumes.OS) is None:
            image = self.ground.catalog.image(guest.os_disk.base or "")
            self._make(volumes.OS, max(guest.os_disk.size or 0, image.least), image.id)
        if self._own_data and self._found(volumes.DATA) is None:
            self._refuse_lost_data()
            size = guest.data_disk.size if guest.data_disk else None
            self._make(volumes.DATA, size or 1, None)

    def there(self) -> Disks | None:
        """The volumes that there are to be; None while one of them is not there."""
        guest = self.machine.guest
        system = data = None
        if guest.os_disk.volume_id is not None:
            system = volumes.existing(self.ground, guest.os_disk.volume_id)
        elif self._own_system and (system := self._found(volumes.OS)) is None:
            return None
        if guest.data_disk is not None and guest.data_disk.volume_id is not None:
            data = volumes.existing(self.ground, guest.data_disk.volume_id)
        elif self._own_data and (data := self._found(volumes.DATA)) is None:
            return None
        return Disks(system, data)

    def must(self) -> Disks:
        """The same. Raises `PlatformError` while one of them is not there."""
        found = self.there()
        if found is None:
            raise PlatformError(
                f"a volume of {self.machine.name} is gone from the cloud",
                hint="run the same command again: it is made anew, or refused",
            )
        return found

    def wait_usable(self) -> Disks:
        """Until a server can have them."""
        found = self.must()
        for volume, own in ((found.system, self._own_system), (found.data, self._own_data)):
            if volume is not None:
                if own:
                    attachments.release(self.ground, volume)
                volumes.wait_usable(self.ground, volume)
        return found

    def remove_system(self) -> None:
        """Delete the system's own volume: another system is to be made."""
        found = self._found(volumes.OS) if self._own_system else None
        if found is not None:
            volumes.delete(self.ground, found)
            self._known.pop(volumes.OS, None)

    def note_data(self, disks: Disks) -> None:
        """Write on the data volume that it holds something."""
        if self._own_data and disks.data is not None:
            volumes.note(self.ground, disks.data, volumes.HOLDS, "yes")

    @property
    def _own_system(self) -> bool:
        """Whether the system is on a volume that the stack makes."""
        guest = self.machine.guest
        return bool(guest.cloud.boot_from_volume) and guest.os_disk.volume_id is None

    @property
    def _own_data(self) -> bool:
        disk = self.machine.guest.data_disk
        return disk is not None and disk.volume_id is None

    def _found(self, use: str) -> Volume | None:
        if use not in self._known:
            if self._new:
                return None
            found = volumes.find(self.ground, self.machine.name, use)
            if found is not None and self._is_unused(found):
                found = self._unless_void(found)
            if found is None:
                return None
            self._known[use] = found
        return self._known[use]

    def _is_unused(self, found: Volume) -> bool:
        """Whether no data can be on it: no machine was ever set up around it."""
        known = self.ground.recorded().get(self.resource.address)
        begun = known is None or known.status == "creating"
        return found.use == volumes.OS or (begun and not found.holds_data)

    def _unless_void(self, found: Volume) -> Volume | None:
        """The same; None for one that the cloud failed to make, or forgot: it is deleted."""
        now = volumes.settled(self.ground, found)
        if now is not None and now.status in VOID:
            volumes.give_up(self.ground, now)
            return None
        return now

    def _make(self, use: str, size: int, image: str | None) -> None:
        self._known[use] = volumes.make(
            self.ground,
            self.machine.name,
            use,
            size,
            image=image,
            kind=self.machine.guest.cloud.volume_type,
            zone=self.ground.settings.volume_zone or self.zone,
        )

    def _refuse_lost_data(self) -> None:
        """A member's data comes from the others; that of a server without any from nowhere."""
        known = self.ground.recorded().get(self.resource.address)
        if known is not None and DATA_DISK in known.values and self.resource.only_copy:
            name = self.machine.name
            volume = self.ground.naming.volume(name, volumes.DATA)
            raise Refused(
                f"the data volume of {name} ({volume}) is gone, and with it the only copy of its"
                " data",
                hint="bring the volume back, or remove the module, run up, and add it again",
            )
