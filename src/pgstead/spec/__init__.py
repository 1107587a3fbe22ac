"""Stack files: YAML or JSON to frozen, validated values, with the line in every error.

stack = load(Path("pgstead.yaml"))
"""

from __future__ import annotations

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
    Line,
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

__all__ = [
    "FORMAT",
    "Binaries",
    "CertificateAuthority",
    "Cluster",
    "Duration",
    "Host",
    "Label",
    "Line",
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
