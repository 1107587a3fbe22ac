"""The four systems under their names of old, with the variables that these had, as one stack.

An etcd member, a Patroni member on it, a load balancer that finds it by DNS, and a PostgreSQL
server of its own in a container of an image. Certificates are made beforehand, and given. Two
are on the network, two share an interface of the host, by variables of each form.
Ours alone are the emulated machines' sizes and slow timings, the user of etcd that Patroni
logs in as, the application's role, and the registry's password and certificate.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pgstead.certificates import Authority, CertificateRequest, KeyPair, issue
from pgstead.platforms.guests.keys import derived
from pgstead.reach.guest import GuestReach
from pgstead.reach.ssh import SshTarget, ssh_reach, write_keys
from support import oci
from support.libvirt import Libvirtd
from support.registry import Registry
from support.virtual import (
    EMULATED,
    PASSWORD,
    SLOW_CHECKS,
    SLOW_ETCD,
    SLOW_PATRONI,
    SMALL_POSTGRES,
    USER,
    Lab,
    platform,
)

NETWORK = "mynetwork"
NETWORK_ID = "b10c1bda-f608-4780-9cfb-574c2271a193"
GATEWAY = "10.77.0.1"
"""The host on that network: its name server, and where the registry is."""

ADDRESSES = {
    "etcd-1": "10.77.0.11",
    "single": "10.77.0.31",
    "postgres-1": "10.77.0.21",
    "load-balancer-1": "10.77.0.41",
}
DOMAIN = "server.postgres.local"
"""What the members of Patroni's cluster are called together."""

SERVICES = {
    "etcd-1": "etcd",
    "single": "postgres",
    "postgres-1": "patroni",
    "load-balancer-1": "haproxy",
}
MOUNTS = {
    "etcd-1": "/var/lib/etcd",
    "single": "/var/lib/postgresql",
    "postgres-1": "/var/lib/postgresql",
}
IMAGE = "databases/postgres"
INTERFACE = "shared0"
"""The host's interface that two machines share."""
SHARED = ("single", "load-balancer-1")
"""Those two: pgstead enters them by the guest agent."""


def make_network(daemon: Libvirtd) -> None:
    """A network of somebody else's, as users of old have one, that knows the members' name.

    The host's interface is plugged into it, so that the host reaches what shares that.
    """
    xml = (
        f"<network><name>{NETWORK}</name><uuid>{NETWORK_ID}</uuid>"
        f"<bridge name='mynet0' stp='off' delay='0'/><dns><host ip='{ADDRESSES['postgres-1']}'>"
        f"<hostname>{DOMAIN}</hostname></host></dns>"
        f"<ip address='{GATEWAY}' netmask='255.255.255.0'/></network>"
    )
    file = daemon.folder / "network.xml"
    file.write_text(xml)
    for words in (("net-define", str(file)), ("net-start", NETWORK)):
        daemon.inside(["virsh", "-c", "qemu:///system", *words])
    _make_interface(daemon)


def _make_interface(daemon: Libvirtd) -> None:
    """Make the interface, and have those that follow get numbers that are nobody else's.

    A macvtap's file is /dev/tapN, N being its number in its own network; but there is one /dev
    for all of them, and what is there already is opened, be it the file of another's guest.
    """
    passed = range(500 + secrets.randbelow(500))
    lines = (
        *(f"link add name a{number} group 7 type veth peer name b{number}" for number in passed),
        "link delete group 7",
        f"link add name {INTERFACE} type veth peer name wire0",
        "link set wire0 master mynet0 up",
        f"link set {INTERFACE} up",
    )
    file = daemon.folder / "interfaces"
    file.write_text("\n".join(lines) + "\n")
    daemon.inside(["ip", "-batch", str(file)])


def mac(machine: str) -> str:
    """A machine's MAC address."""
    return f"52:54:00:77:00:{int(ADDRESSES[machine].rpartition('.')[2]):02x}"


def systems(name: str, image: Path, authority: Authority, images: Registry) -> dict[str, Any]:
    """The stack file of the four systems, as a document."""
    passwords = ("superuser", "replication", "application", "single", "root", "patroni")
    settings = platform(image)
    del settings["networks"], settings["network"]
    return {
        "version": 1,
        "name": name,
        "platform": settings,
        "passwords": {one: {"value": f"{PASSWORD}-{one}"} for one in passwords},
        "modules": {
            "etcd-1": _etcd(image, authority),
            "single": _single(image, authority, images),
            "postgres-1": _patroni(name, image, authority),
            "load-balancer-1": _load_balancer(image, authority),
        },
    }


_USER_KEY = derived("somebody", "admin")


def _module(machine: str, source: str, image: Path, **variables: Any) -> dict[str, Any]:
    return {
        "source": source,
        "name": machine,
        "image": str(image),
        "cloud_init_volume_pool": "default",
        "ssh_admin_user": USER,
        "ssh_admin_public_key": _USER_KEY.public,
        **EMULATED,
        **variables,
    }


def _interface(machine: str) -> dict[str, Any]:
    """All that the variables of an interface can say, but for what it is connected to."""
    return {
        "prefix_length": 24,
        "ip": ADDRESSES[machine],
        "mac": mac(machine),
        "gateway": GATEWAY,
        "dns_servers": [GATEWAY],
    }


def _etcd(image: Path, authority: Authority) -> dict[str, Any]:
    """The gateway, which Patroni needs, excludes certificates of clients: passwords are left."""
    pair = _issued("etcd-1", authority, ADDRESSES["etcd-1"], "127.0.0.1")
    interface = {"network_id": NETWORK_ID, "ip": ADDRESSES["etcd-1"], "mac": mac("etcd-1")}
    user = {"name": "patroni", "password": "${passwords.patroni}", "prefixes": ["/patroni/"]}
    return _module(
        "etcd-1",
        "kvm-etcd-server",
        image,
        libvirt_network=interface,
        etcd={"grpc_gateway_enabled": True, "client_cert_auth": False, **SLOW_ETCD},
        authentication_bootstrap={
            "bootstrap": True,
            "root_password": "${passwords.root}",
            "users": [user],
        },
        cluster={
            "is_initializing": True,
            "initial_token": "etcd-cluster",
            "initial_members": [{"name": "etcd-1", "ip": ADDRESSES["etcd-1"]}],
        },
        tls={
            "ca_cert": authority.certificate,
            "server_cert": pair.certificate,
            "server_key": pair.key,
        },
    )


def _single(image: Path, authority: Authority, images: Registry) -> dict[str, Any]:
    return _module(
        "single",
        "kvm-postgres-server",
        image,
        macvtap_interface=INTERFACE,
        macvtap_vm_interface_name_match="e*",
        macvtap_subnet_prefix_length=24,
        macvtap_gateway_ip=GATEWAY,
        macvtap_dns_servers=[GATEWAY],
        ip=ADDRESSES["single"],
        mac=mac("single"),
        postgres_image=f"{IMAGE}:{oci.postgres_major()}",
        container_registry=images.settings,
        postgres_user="owner",
        postgres_database="things",
        postgres_password="${passwords.single}",
        postgres_params="-c 'shared_buffers=32MB'",
        ca={
            "key": authority.key,
            "key_algorithm": "ECDSA",
            "certificate": authority.certificate,
        },
        domains=["postgres.local"],
        certificate_validity_period=8760,
        certificate_early_renewal=720,
    )


def _patroni(name: str, image: Path, authority: Authority) -> dict[str, Any]:
    addresses = ADDRESSES["postgres-1"], ADDRESSES["load-balancer-1"]
    server = _issued("postgres-1", authority, *addresses)
    client = _issued("patroni-client", authority)
    application = {"role": "app", "database": "app", "password": "${passwords.application}"}
    return _module(
        "postgres-1",
        "kvm-patroni-server",
        image,
        memory=640,
        libvirt_networks=[{"network_name": NETWORK, "network_id": "", **_interface("postgres-1")}],
        postgres={
            "params": [SMALL_POSTGRES],
            "superuser_password": "${passwords.superuser}",
            "replicator_password": "${passwords.replication}",
            "ca_certificate": authority.certificate,
            "server_certificate": server.certificate,
            "server_key": server.key,
            "application": application,
        },
        etcd={
            "endpoints": [f"{ADDRESSES['etcd-1']}:2379"],
            "ca_cert": authority.certificate,
            "username": "patroni",
            "password": "${passwords.patroni}",
        },
        patroni={
            "scope": name,
            "namespace": "/patroni/",
            "name": "postgres-1",
            **SLOW_PATRONI,
            "is_synchronous": False,
            "client_certificate": client.certificate,
            "client_key": client.key,
        },
    )


def _load_balancer(image: Path, authority: Authority) -> dict[str, Any]:
    return _module(
        "load-balancer-1",
        "kvm-postgres-load-balancer",
        image,
        macvtap_interfaces=[{"interface": INTERFACE, **_interface("load-balancer-1")}],
        admin_user_password="for-the-console-alone",
        haproxy={
            "postgres_nodes_max_count": 3,
            "postgres_nameserver_ips": [GATEWAY],
            "postgres_domain": DOMAIN,
            "patroni_client": {
                "ca_key": authority.key,
                "ca_certificate": authority.certificate,
                "certificate_validity_period": 876000,
                "certificate_early_renewal_period": 8760,
            },
            "checks": {"inter": SLOW_CHECKS["inter"], "fall": 3, "rise": 1},
        },
    )


def login(up: Lab, machine: str) -> GuestReach:
    """A way into a machine for the user whose key the stack file gives: by network and ssh."""
    folder = up.stack.folder
    target = SshTarget(machine, ADDRESSES[machine], USER, folder / "user", folder / "sockets")
    host_key = up.says(machine, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    write_keys(target, private_key=_USER_KEY.private, host_key=host_key)
    return ssh_reach(target)


def _issued(name: str, authority: Authority, *addresses: str) -> KeyPair:
    """A certificate made elsewhere, for servers and clients alike."""
    request = CertificateRequest(name, "given", name, "test", addresses, client=True)
    return issue(request, authority, now=datetime.now(UTC))
