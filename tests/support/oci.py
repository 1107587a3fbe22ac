"""Container images made of what is installed here, and pushed to a registry over its HTTP API.

An image is one layer: programs, what they link to, and an entrypoint that keeps the promises
of the official image of its name, as far as anybody here relies on them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from support.registry import Registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

ENTRYPOINTS = Path(__file__).parent / "entrypoints"
ENTRYPOINT = "/usr/local/bin/docker-entrypoint.sh"
SHELL = ("sh", "cat", "chmod", "id", "ls", "mkdir", "rm", "sleep")
HAPROXY = Path("/usr/sbin/haproxy")
POSTGRES = ("initdb", "pg_ctl", "pg_isready", "postgres", "psql")


@dataclass(frozen=True)
class Image:
    """An image: its configuration, and its layer as it travels."""

    config: bytes
    layer: bytes

    def manifest(self) -> bytes:
        """What names both."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _described(CONFIG, self.config),
                "layers": [_described(LAYER, self.layer)],
            }
        )


def push(registry: Registry, name: str, tag: str, image: Image) -> None:
    """Have the registry hold the image under that name and tag."""
    for blob in (image.layer, image.config):
        place = registry.ask("POST", f"/v2/{name}/blobs/uploads/")["Location"]
        registry.ask("PUT", f"{place}&digest={_digest(blob)}", blob, "application/octet-stream")
    registry.ask("PUT", f"/v2/{name}/manifests/{tag}", image.manifest(), MANIFEST)


def why_not() -> str | None:
    """The reason why the images cannot be made here; None if they can."""
    there = {"haproxy": HAPROXY.exists(), "postgresql": bool(_postgres_folders())}
    lacking = [name for name, yes in there.items() if not yes]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def postgres_major() -> str:
    """The newest major version of PostgreSQL that is installed here."""
    return max(_postgres_folders(), key=lambda path: int(path.name)).name


@cache
def postgres_image() -> Image:
    """PostgreSQL, as the official images have it: PGDATA in a volume, an own first start."""
    major = postgres_major()
    home, share = Path("/usr/lib/postgresql") / major, Path("/usr/share/postgresql") / major
    programs = [home / "bin" / name for name in POSTGRES]
    # Without just-in-time compilation, which takes 100 MB.
    libraries = [one for one in home.glob("lib/*.so") if "llvm" not in one.name]
    zone = Path("/usr/share/zoneinfo/UTC")
    return _image(
        "postgres",
        [*programs, *libraries],
        [*share.rglob("*"), zone],
        Env=[f"PATH={home}/bin:/usr/bin", "PGDATA=/var/lib/postgresql/data", f"PG_MAJOR={major}"],
        Volumes={"/var/lib/postgresql/data": {}},
        Cmd=["postgres"],
        StopSignal="SIGINT",
    )


@cache
def haproxy_image() -> Image:
    """HAProxy, as the official images have it."""
    return _image(
        "haproxy",
        [HAPROXY],
        [],
        Env=["PATH=/usr/sbin:/usr/bin"],
        Cmd=["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
        StopSignal="SIGUSR1",
    )


def _postgres_folders() -> list[Path]:
    return [path.parent.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]


def _image(name: str, programs: Iterable[Path], files: Iterable[Path], **config: Any) -> Image:
    shell = {f"/usr/bin/{each}": _program(each) for each in SHELL}
    contents = {str(path): path for path in (*programs, *files) if path.is_file()}
    contents |= {str(one): one for one in _linked([*programs, *shell.values()])}
    contents |= shell | {ENTRYPOINT: ENTRYPOINTS / f"{name}.sh"}
    layer = _tar(contents)
    settings = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [ENTRYPOINT], "WorkingDir": "/", **config},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    return Image(_json(settings), gzip.compress(layer, compresslevel=1, mtime=0))


def _program(name: str) -> Path:
    return Path("/usr/bin" if Path(f"/usr/bin/{name}").exists() else "/bin", name)


def _linked(programs: Iterable[Path]) -> list[Path]:
    """The libraries that programs need, where the loader looks for them."""
    words = ["ldd", *map(str, programs)]  # fails if one of them links to nothing
    text = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"(/\S+) \(0x", text)
    return [Path(one) for one in dict.fromkeys(found)]


def _tar(contents: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(_link("bin", "usr/bin"))
        archive.addfile(_link("var/run", "/run"))
        archive.addfile(_folder("tmp"))
        for place, source in sorted(contents.items()):
            data = source.read_bytes()
            info = tarfile.TarInfo(place.lstrip("/"))
            executable = source.stat().st_mode & 0o111 or place == ENTRYPOINT
            info.size, info.mode = len(data), 0o755 if executable else 0o644
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _link(place: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(place)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def _folder(place: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(place)
    info.type, info.mode = tarfile.DIRTYPE, 0o1777
    return info


def _json(tree: Any) -> bytes:
    return json.dumps(tree, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _described(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}
