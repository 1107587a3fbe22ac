"""One virtual machine with PostgreSQL made by hand, as a yardstick for `pgstead up`.

A network, a system disk over an image, a data disk, a seed, a domain: what a straight script
needs, from nothing to the first answer to SQL over TLS that is verified in full. It talks to
qemu:///system by virsh, and imports nothing of pgstead.

Prints one line of JSON: `seconds`, counted from the start of this process. What it made is
removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import subprocess
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

NAME = "by-hand"
SUBNET = "10.79.0"
ADDRESS = f"{SUBNET}.10"
MAC = "52:54:00:79:00:10"
DEADLINE = 900.0

SETUP = """\
#!/bin/sh
set -eu
mkfs.ext4 -q /dev/vdb
echo "UUID=$(blkid -s UUID -o value /dev/vdb) /var/lib/postgresql ext4 defaults 0 2" >>/etc/fstab
mount /var/lib/postgresql
rmdir /var/lib/postgresql/lost+found
chown postgres: /var/lib/postgresql /etc/server.key
pg_createcluster 15 main -d /var/lib/postgresql/data -- -E UTF8 --locale=C -k >/dev/null
cat /etc/more.conf >>/etc/postgresql/15/main/postgresql.conf
echo "hostssl all all all scram-sha-256" >>/etc/postgresql/15/main/pg_hba.conf
systemctl enable --now postgresql@15-main prometheus-node-exporter
su postgres -c "psql -q -f /etc/roles.sql"
"""

MORE = f"""\
listen_addresses = '{ADDRESS}'
shared_buffers = 32MB
ssl = on
ssl_ca_file = '/etc/ca.crt'
ssl_cert_file = '/etc/server.crt'
ssl_key_file = '/etc/server.key'
"""

DOMAIN = """\
<domain type='qemu'><name>{name}</name><memory unit='MiB'>512</memory><vcpu>1</vcpu>
<os><type>hvm</type></os>
<features><acpi/><apic/><tcg><tb-cache unit='MiB'>256</tb-cache></tcg></features>
<cpu mode='maximum'/><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='{folder}/system'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='{folder}/data'/><target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='{folder}/seed'/><target dev='vdc' bus='virtio'/><readonly/></disk>
<interface type='network'><source network='{name}'/><mac address='{mac}'/><model type='virtio'/>
</interface><controller type='usb' model='none'/><serial type='pty'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices></domain>
"""


@dataclass(frozen=True)
class Lab:
    """A folder that the emulator may enter, and the password of the role."""

    folder: Path
    password: str

    def run(self, *words: str | Path) -> None:
        """Run a program in the folder."""
        subprocess.run(words, check=True, capture_output=True, cwd=self.folder)

    def virsh(self, *words: str | Path) -> None:
        """Run virsh."""
        self.run("virsh", "-c", "qemu:///system", *words)

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_text(text)
        return path


def certificates(lab: Lab) -> None:
    """An authority, and the server's certificate."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    lab.run(*("openssl", "req", "-x509", *curve, "-subj", "/CN=ca", "-days", "9"), *_out("ca"))
    own = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=IP:{ADDRESS}", "-days", "9")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key")
    lab.run(*("openssl", "req", "-x509", *curve, *own, *signed), *_out("server"))


def _out(name: str) -> tuple[str, ...]:
    return "-keyout", f"{name}.key", "-out", f"{name}.crt"


def seed(lab: Lab) -> None:
    """What cloud-init reads, on a FAT disk."""
    roles = f"CREATE ROLE owner SUPERUSER LOGIN PASSWORD '{lab.password}';\n"
    files = {
        "/etc/ca.crt": (lab.folder / "ca.crt").read_text(),
        "/etc/server.crt": (lab.folder / "server.crt").read_text(),
        "/etc/server.key": (lab.folder / "server.key").read_text(),
        "/etc/more.conf": MORE,
        "/etc/roles.sql": f"{roles}CREATE DATABASE things OWNER owner;\n",
        "/root/setup": SETUP,
    }
    lines = ["#cloud-config", f"hostname: {NAME}", "write_files:"]
    for path, text in files.items():
        mode = "0600" if path.endswith("key") else "0755"
        lines += [f"  - path: {path}", f"    permissions: '{mode}'", "    content: |"]
        lines.append(textwrap.indent(text, "      ").rstrip("\n"))
    lines.append("runcmd: [[/root/setup]]")
    network = {"match": {"macaddress": MAC}, "addresses": [f"{ADDRESS}/24"], "accept-ra": False}
    lab.write("user-data", "\n".join(lines) + "\n")
    lab.write("meta-data", f"instance-id: {NAME}\nlocal-hostname: {NAME}\n")
    lab.write("network-config", json.dumps({"version": 2, "ethernets": {"nic0": network}}))
    with (lab.folder / "seed").open("wb") as file:
        file.truncate(1 << 20)
    lab.run("mkfs.vfat", "-n", "CIDATA", "seed")
    lab.run("mcopy", "-i", "seed", "user-data", "meta-data", "network-config", "::")


def machine(lab: Lab, image: Path) -> None:
    """Network, disks and domain; returns once it has been started."""
    shutil.copyfile(image, lab.folder / "image")
    backed = ("-F", "qcow2", "-b", lab.folder / "image")
    lab.run("qemu-img", "create", "-q", "-f", "qcow2", *backed, "system")
    lab.run("qemu-img", "create", "-q", "-f", "qcow2", "data", "1G")
    address = f"<ip address='{SUBNET}.1' netmask='255.255.255.0'/>"
    bridge = f"<bridge name='{NAME}' stp='off' delay='0'/>"
    net = f"<network><name>{NAME}</name>{bridge}<dns enable='no'/>{address}</network>"
    lab.virsh("net-create", lab.write("net.xml", net))
    text = DOMAIN.format(name=NAME, folder=lab.folder, mac=MAC)
    lab.virsh("create", lab.write("domain.xml", text))


def wait_for_sql(lab: Lab) -> None:
    """Ask until it answers."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            with psycopg.connect(
                host=ADDRESS,
                user="owner",
                password=lab.password,
                dbname="things",
                sslmode="verify-full",
                sslrootcert=str(lab.folder / "ca.crt"),
                connect_timeout=5,
            ) as connection:
                connection.execute("CREATE TABLE first_write AS SELECT 1 AS number")
                return
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@contextmanager
def laboratory(parent: Path) -> Iterator[Lab]:
    """A lab in a new folder, cleaned up whatever happens."""
    folder = parent / f"handmade-{secrets.token_hex(3)}"
    folder.mkdir(mode=0o711)
    lab = Lab(folder, secrets.token_urlsafe(12))
    try:
        yield lab
    finally:
        for words in (("destroy", NAME), ("net-destroy", NAME)):
            subprocess.run(
                ["virsh", "-c", "qemu:///system", *words], check=False, capture_output=True
            )
        shutil.rmtree(folder)


def main() -> None:
    """Run once and print the seconds."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, required=True, help="a bootable qcow2")
    parser.add_argument("--parent", type=Path, required=True, help="where to work")
    arguments = parser.parse_args()
    with laboratory(arguments.parent) as lab:
        certificates(lab)
        seed(lab)
        machine(lab, arguments.image)
        wait_for_sql(lab)
        took = time.monotonic() - began
    print(json.dumps({"seconds": took}), flush=True)


if __name__ == "__main__":
    main()
