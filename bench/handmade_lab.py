"""What the scripts that make virtual machines by hand have in common, by virsh and qemu-img.

Imports nothing of pgstead. Runs beside a libvirtd, at qemu:///system.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

VIRSH = ("virsh", "-c", "qemu:///system")
BACKING = "image"


@dataclass(frozen=True)
class Lab:
    """A folder that the emulator may enter; `undo` are words for virsh, the last ones first."""

    folder: Path
    undo: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, *words: str | Path) -> None:
        """Run a program in the folder. Raises CalledProcessError."""
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def virsh(self, *words: str | Path) -> None:
        """Run virsh."""
        self.run(*VIRSH, *words)

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def image(self, image: Path) -> None:
        """Have a copy of an image to put disks over."""
        shutil.copyfile(image, self.folder / BACKING)

    def overlay(self, name: str) -> None:
        """A system's disk over the image."""
        backed = ("-F", "qcow2", "-b", self.folder / BACKING)
        self.run("qemu-img", "create", "-q", "-f", "qcow2", *backed, name)

    def disk(self, name: str, size: str = "1G") -> None:
        """An empty disk."""
        self.run("qemu-img", "create", "-q", "-f", "qcow2", name, size)

    def seed(self, name: str, *files: Path) -> None:
        """What cloud-init reads, on a disc that it finds by its label."""
        options = ("-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", name)
        self.run("genisoimage", *options, *files)

    def network(self, name: str, subnet: str) -> None:
        """A network that leads nowhere; `subnet` are the first three numbers of its addresses."""
        address = f"<ip address='{subnet}.1' netmask='255.255.255.0'/>"
        bridge = f"<bridge name='{name}' stp='off' delay='0'/>"
        text = f"<network><name>{name}</name>{bridge}<dns enable='no'/>{address}</network>"
        self.undo.append(("net-destroy", name))
        self.virsh("net-create", self.write("net.xml", text))

    def pool(self, name: str) -> None:
        """The folder as a storage pool, with what is in it by now as volumes."""
        self.undo.append(("pool-destroy", name))
        self.virsh("pool-create-as", name, "dir", "--target", self.folder)

    def start(self, name: str, xml: Path) -> None:
        """Define a domain and start it."""
        self.undo.extend([("undefine", name), ("destroy", name)])
        self.virsh("define", xml)
        self.virsh("start", name)


@contextmanager
def laboratory(parent: Path) -> Iterator[Lab]:
    """A lab in a new folder, cleaned up whatever happens."""
    folder = parent / f"handmade-{secrets.token_hex(3)}"
    folder.mkdir(mode=0o711)
    lab = Lab(folder)
    try:
        yield lab
    finally:
        for words in reversed(lab.undo):
            subprocess.run([*VIRSH, *words], check=False, capture_output=True)
        shutil.rmtree(folder)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that they all have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--image", type=Path, required=True, help="a bootable qcow2")
    made.add_argument("--parent", type=Path, required=True, help="where to work")
    return made
