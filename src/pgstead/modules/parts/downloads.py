"""Programs that are downloaded: pinned by a URL and the checksum of what is there."""

from __future__ import annotations

from pgstead.machine import Command, Directory, Package, Software, path
from pgstead.modules.parts.scripts import call, folders, script
from pgstead.spec.machines import Download

__all__ = ["Download", "download_software", "downloaded"]


def downloaded(download: Download, software: str, program: str) -> str:
    """Where a program of the archive lies; another archive's lies elsewhere."""
    return path(f"{_folder(download, software)}/{program}")


def download_software(download: Download, software: str, programs: tuple[str, ...]) -> Software:
    """Fetches the archive, checks it, and lays its programs down; the first is done last."""
    folder = _folder(download, software)
    return Software(
        packages=(Package("ca-certificates"), Package("curl")),
        directories=(*folders(), Directory(f"/opt/{software}", mode=0o755)),
        files=(script("pgstead.modules.parts", "download.j2"),),
        setup=(
            Command(
                f"download-{software}",
                call("download", download.url, download.sha256, path(folder), *programs),
                creates=f"{folder}/{programs[0]}",
            ),
        ),
    )


def _folder(download: Download, software: str) -> str:
    return f"/opt/{software}/{download.sha256[:12]}"
