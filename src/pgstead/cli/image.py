"""Commands on machine images: image build."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from pgstead.cli.console import err, out

DEFAULT_IMAGE = Path("pgstead.qcow2")


def add(app: typer.Typer) -> None:
    """Add these commands, under `image`."""
    image = typer.Typer(name="image", help="Make machine images.", no_args_is_help=True)
    image.callback()(_image)
    image.command()(build)
    app.add_typer(image)


def _image() -> None:
    """Make machine images."""


def build(
    *,
    target: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The qcow2 to write.")
    ] = DEFAULT_IMAGE,
    lock: Annotated[
        Path | None,
        typer.Option(
            "--lock", metavar="FILE", help="Build again what this list (NAME.packages) names."
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="GIB", help="Size of the disk; it can grow.")
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(metavar="PACKAGE", help="A further Debian package.")
    ] = None,
    containers: Annotated[
        bool, typer.Option("--containers/--no-containers", help="Whether Podman is inside.")
    ] = True,
    rootfs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the root file system, as a tar."),
    ] = None,
) -> None:
    """Build a bootable image with everything inside, from this machine's apt sources."""
    from pgstead.operations.image import build_image  # noqa: PLC0415 - start-up time

    console, began = err(), time.monotonic()

    def say(step: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {step}", markup=False)

    built = build_image(
        target,
        say=say,
        lock=lock,
        size=size,
        containers=containers,
        more=tuple(include or ()),
        rootfs=rootfs,
    )
    size_mb = built.image.stat().st_size / 1e6
    out().print(
        f"{built.image}: {size_mb:.0f} MB, {len(built.contents.packages)} packages, listed in"
        f" {built.packages}",
        markup=False,
    )
