"""Machines to lower and make, as modules would give them."""

from __future__ import annotations

from dataclasses import replace

from pgstead.machine import (
    BOOTSTRAP_ONLY,
    Admin,
    Command,
    Directory,
    Disk,
    File,
    Guest,
    Machine,
    Nic,
    OnChange,
    Package,
    Probe,
    Service,
    Size,
    Software,
    User,
    binary,
    directory_of,
    path,
)
from pgstead.membership import EtcdMember, TlsClient

DATA = "/var/lib/thing/data"
CONFIGURATION = "/etc/thing/thing.conf"
SECRET = "/etc/thing/secret.key"


def machine(name: str = "thing-1", *, address: str = "10.99.0.11", **guest: object) -> Machine:
    """A machine with a bit of everything."""
    return Machine(
        name=name,
        module=name,
        address=address,
        software=software(address),
        membership=EtcdMember("things", name, address, TlsClient("ca", "certificate", "key")),
        guest=replace(GUEST, nics=(_nic(address),), **guest),  # type: ignore[arg-type]
        postgresql="15",
    )


def _nic(address: str) -> Nic:
    return replace(NIC, address=address, mac=f"52:54:00:00:00:{int(address.split('.')[3]):02x}")


NIC = Nic("10.99.0.11", 24, mac="52:54:00:00:00:0b", gateway="10.99.0.1")
GUEST = Guest(
    size=Size(1, 64),
    os_disk=Disk("os", base="base.img"),
    data_disk=Disk("data", size=1, mount="/var/lib/thing", owner="thing"),
    nics=(NIC,),
    admin=Admin("ubuntu", "ssh-ed25519 AAAA somebody"),
)


def software(address: str) -> Software:
    """Packages, a user, folders, files, a setup command, a service."""
    configuration = f"listen: {address}\nstate: new  {BOOTSTRAP_ONLY}\n"
    return Software(
        packages=(Package("postgresql-15"), Package("thing", "1.2-3")),
        users=(User("thing"),),
        directories=(
            Directory("/etc/thing", mode=0o750, owner="thing"),
            Directory("/run/thing", mode=0o755, owner="thing"),
            Directory(DATA, owner="thing", data=True),
        ),
        files=(
            File(
                CONFIGURATION,
                f"{configuration}programs: {directory_of('postgresql')}\n",
                owner="thing",
                service="thing",
            ),
            File(
                SECRET,
                "secret: ünïcode\n",
                0o600,
                "thing",
                secret=True,
                on_change=OnChange.RELOAD,
                service="thing",
            ),
        ),
        setup=(
            Command("make a cluster", (binary("initdb"), path(DATA)), f"{DATA}/VERSION", "thing"),
        ),
        services=(
            Service(
                "thing",
                (binary("thing"), "--config", path(CONFIGURATION), 'with "quotes" and 100%'),
                user="thing",
                environment={"LANG": "C.UTF-8", "WORDS": "a $b"},
                ready=Probe(2379),
            ),
        ),
    )
