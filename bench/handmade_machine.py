"""One virtual machine with PostgreSQL made by hand, as a yardstick for `pgstead up`.

A network, a system disk over an image, a data disk, a seed, a domain: what a straight script
needs, from nothing to the first answer to SQL over TLS that is verified in full. It talks to
qemu:///system by virsh, and imports nothing of pgstead.

Prints one line of JSON: `seconds`, counted from the start of this process. What it made is
removed afterwards.
"""

from __future__ import annotations

import json
import secrets
import textwrap
from pathlib import Path

import psycopg
from handmade_asking import elapsed, until
from handmade_lab import Lab, laboratory, parser

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


def certificates(lab: Lab) -> None:
    """An authority, and the server's certificate."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    lab.run(*("openssl", "req", "-x509", *curve, "-subj", "/CN=ca", "-days", "9"), *_out("ca"))
    own = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=IP:{ADDRESS}", "-days", "9")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key")
    lab.run(*("openssl", "req", "-x509", *curve, *own, *signed), *_out("server"))


def _out(name: str) -> tuple[str, ...]:
    return "-keyout", f"{name}.key", "-out", f"{name}.crt"


def seed(lab: Lab, password: str) -> None:
    """What cloud-init reads, on a disk of its own."""
    roles = f"CREATE ROLE owner SUPERUSER LOGIN PASSWORD '{password}';\n"
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
    texts = {
        "user-data": "\n".join(lines) + "\n",
        "meta-data": f"instance-id: {NAME}\nlocal-hostname: {NAME}\n",
        "network-config": json.dumps({"version": 2, "ethernets": {"nic0": network}}),
    }
    lab.seed("seed", *(lab.write(name, text) for name, text in texts.items()))


def machine(lab: Lab, image: Path) -> None:
    """Network, disks and domain; returns once it has been started."""
    lab.image(image)
    lab.overlay("system")
    lab.disk("data")
    lab.network(NAME, SUBNET)
    text = DOMAIN.format(name=NAME, folder=lab.folder, mac=MAC)
    lab.start(NAME, lab.write("domain.xml", text))


def first_write(lab: Lab, password: str) -> bool:
    """The owner's, by TLS that is verified in full."""
    with psycopg.connect(
        host=ADDRESS,
        user="owner",
        password=password,
        dbname="things",
        sslmode="verify-full",
        sslrootcert=str(lab.folder / "ca.crt"),
        connect_timeout=5,
    ) as connection:
        connection.execute("CREATE TABLE first_write AS SELECT 1 AS number")
    return True


def main() -> None:
    """Run once and print the seconds."""
    arguments = parser(__doc__).parse_args()
    password = secrets.token_urlsafe(12)
    with laboratory(arguments.parent) as lab:
        certificates(lab)
        seed(lab, password)
        machine(lab, arguments.image)
        until("SQL", lambda: first_write(lab, password), every=0.2, within=DEADLINE)
        took = elapsed()
    print(json.dumps({"seconds": took}), flush=True)


if __name__ == "__main__":
    main()
