"""The disk that tells a machine's first boot what to do (cloud-init's NoCloud)."""

from __future__ import annotations

import io
from collections.abc import Mapping

from pgstead.errors import MissingSoftware


def seed_image(files: Mapping[str, str]) -> bytes:
    """An ISO 9660 image named `cidata` that holds those texts.

    Raises `MissingSoftware` without pycdlib.
    """
    try:
        import pycdlib  # noqa: PLC0415 - only where a machine is made
    except ImportError:
        raise MissingSoftware(
            "the Python package pycdlib is not installed", hint="pip install 'pgstead[libvirt]'"
        ) from None
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for number, (name, text) in enumerate(sorted(files.items())):
        content = text.encode()
        image.add_fp(
            io.BytesIO(content),
            len(content),
            f"/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
        )
    out = io.BytesIO()
    image.write_fp(out)
    image.close()
    return out.getvalue()
