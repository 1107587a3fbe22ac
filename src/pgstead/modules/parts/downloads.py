"""Programs that are downloaded: an archive pinned by its checksum, or a release of its makers."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.machine import Command, Directory, Package, Software, path
from pgstead.modules.parts.scripts import call, folders, script
from pgstead.spec.machines import Download

__all__ = ["Archive", "Download", "download_software", "downloaded", "etcd_release", "pinned"]

ARCHITECTURE = "%ARCHITECTURE%"
"""Stands in a URL for what `dpkg --print-architecture` says on the machine: amd64, arm64."""

ETCD_RELEASES = "https://github.com/etcd-io/etcd/releases/download"


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of programs: its URL, its SHA-256 or the URL of a list of them, and a name."""

    url: str
    checksum: str
    name: str


def pinned(download: Download) -> Archive:
    """The archive of a stack file."""
    return Archive(download.url, download.sha256, download.sha256[:12])


def etcd_release(version: str) -> Archive:
    """A release of etcd, e.g. `v3.4.15`, checked against the list that lies beside it."""
    folder = f"{ETCD_RELEASES}/{version}"
    url = f"{folder}/etcd-{version}-linux-{ARCHITECTURE}.tar.gz"
    return Archive(url, f"{folder}/SHA256SUMS", version)


def downloaded(archive: Archive, software: str, program: str) -> str:
    """Where a program of the archive lies; another archive's lies elsewhere."""
    return path(f"{_folder(archive, software)}/{program}")


def download_software(archive: Archive, software: str, programs: tuple[str, ...]) -> Software:
    """Fetches the archive, checks it, and lays its programs down; the first is done last."""
    folder = _folder(archive, software)
    return Software(
        packages=(Package("ca-certificates"), Package("curl")),
        directories=(*folders(), Directory(f"/opt/{software}", mode=0o755)),
        files=(script("pgstead.modules.parts", "download.j2"),),
        setup=(
            Command(
                f"download-{software}",
                call("download", archive.url, archive.checksum, path(folder), *programs),
                creates=f"{folder}/{programs[0]}",
            ),
        ),
    )


def _folder(archive: Archive, software: str) -> str:
    return f"/opt/{software}/{archive.name}"
