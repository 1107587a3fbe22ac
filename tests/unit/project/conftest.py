from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pgstead.certificates import CertificateRequest, issue, make_authority


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout's folder."""
    return Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def script(project: Path) -> Callable[[str], Any]:
    """Imports a file that is no part of the package, by its path in the checkout."""

    def load(place: str) -> Any:
        name = Path(place).stem
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, project / place)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load


@pytest.fixture(scope="session")
def examples(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples, beside the certificates and keys that they read."""
    folder = tmp_path_factory.mktemp("seeds")
    shutil.copytree(project / "examples" / "seeds", folder, dirs_exist_ok=True)
    now = datetime.now(UTC)
    authority = make_authority("old", "old", now=now)
    request = CertificateRequest("any", "old", common_name=None, organization="old")
    pair = issue(request, authority, now=now)
    texts = {
        "admin.pub": "ssh-ed25519 AAAA admin\n",
        "tls/ca.crt": authority.certificate,
        "tls/ca.key": authority.key or "",
        **{f"tls/{name}.crt": pair.certificate for name in ("server", "client")},
        **{f"tls/{name}.key": pair.key for name in ("server", "client")},
    }
    (folder / "tls").mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder
