"""Stack files: YAML or JSON to frozen, validated values, with the line in every error.

    stack = load(Path("pgstead.yaml"))

Names are imported on first use, so that a program that only needs one of them starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgstead.spec.cluster import Cluster
    from pgstead.spec.interpolation import (
        Lookup,
        Reference,
        UnknownName,
        interpolate,
        references,
    )
    from pgstead.spec.json_schema import schema
    from pgstead.spec.loading import from_tree, load, loads
    from pgstead.spec.models import (
        Duration,
        Host,
        Label,
        Location,
        Model,
        Network,
        Port,
        Problems,
        Secret,
        Setting,
        Text,
        Version,
    )
    from pgstead.spec.parsing import parse
    from pgstead.spec.settings import (
        FORMAT,
        Binaries,
        CertificateAuthority,
        LocalPlatform,
        MemoryPlatform,
        Password,
        StackSettings,
        State,
    )
    from pgstead.spec.source import SourceMap, Tree, TreePath
    from pgstead.spec.stack import ModuleSource, Stack
    from pgstead.spec.writing import expand

_HOMES = {
    "cluster": ("Cluster",),
    "interpolation": (
        "Lookup",
        "Reference",
        "UnknownName",
        "interpolate",
        "references",
    ),
    "json_schema": ("schema",),
    "loading": (
        "from_tree",
        "load",
        "loads",
    ),
    "models": (
        "Duration",
        "Host",
        "Label",
        "Location",
        "Model",
        "Network",
        "Port",
        "Problems",
        "Secret",
        "Setting",
        "Text",
        "Version",
    ),
    "parsing": ("parse",),
    "settings": (
        "StackSettings",
        "FORMAT",
        "Binaries",
        "CertificateAuthority",
        "LocalPlatform",
        "MemoryPlatform",
        "Password",
        "State",
    ),
    "source": (
        "SourceMap",
        "Tree",
        "TreePath",
    ),
    "stack": (
        "ModuleSource",
        "Stack",
    ),
    "writing": ("expand",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "FORMAT",
    "Binaries",
    "CertificateAuthority",
    "Cluster",
    "Duration",
    "Host",
    "Label",
    "LocalPlatform",
    "Location",
    "Lookup",
    "MemoryPlatform",
    "Model",
    "ModuleSource",
    "Network",
    "Password",
    "Port",
    "Problems",
    "Reference",
    "Secret",
    "Setting",
    "SourceMap",
    "Stack",
    "StackSettings",
    "State",
    "Text",
    "Tree",
    "TreePath",
    "UnknownName",
    "Version",
    "expand",
    "from_tree",
    "interpolate",
    "load",
    "loads",
    "parse",
    "references",
    "schema",
]


def __getattr__(name: str) -> Any:
    """The public name, from the file that holds it."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
