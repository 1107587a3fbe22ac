"""etcd's root with a certificate and no password, as a user has it from `pgstead output`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.stack import Stack

FILES = {
    "endpoint": "endpoint",
    "root.ca": "root_ca_certificate",
    "root.crt": "root_certificate",
    "root.key": "root_key",
}
"""What a user keeps of a member's outputs, in the stack's folder."""


def keep(stack: Stack, member: str) -> None:
    """Keep what leads to root through that member."""
    outputs = stack.json("output", str(stack.file), "--show-secrets")
    for file, name in FILES.items():
        (stack.folder / file).write_text(outputs[f"{member}.{name}"])


def etcdctl(
    stack: Stack, *words: str, cert: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """As a user on this machine does, by default with root's certificate."""
    cert = cert or stack.folder / "root.crt"
    endpoint = (stack.folder / "endpoint").read_text()
    command = ["etcdctl", f"--endpoints=https://{endpoint}", f"--cacert={stack.folder}/root.ca"]
    return subprocess.run(
        [*command, f"--cert={cert}", f"--key={cert.with_suffix('.key')}", *words],
        env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
