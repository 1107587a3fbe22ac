"""Commands on a stack's etcd: etcd defrag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from pgstead.cli.arguments import DEFAULT_FILE, Output, StackFile
from pgstead.cli.console import Format, err, out, print_json, stopping

if TYPE_CHECKING:
    from pgstead.operations.etcd_defrag import Defragmented


def add(app: typer.Typer) -> None:
    """Add these commands, under `etcd`."""
    etcd = typer.Typer(name="etcd", help="Look after a stack's etcd.", no_args_is_help=True)
    etcd.callback()(_etcd)
    etcd.command()(defrag)
    app.add_typer(etcd)


def _etcd() -> None:
    """Look after a stack's etcd."""


def defrag(file: StackFile = DEFAULT_FILE, form: Output = Format.TEXT) -> None:
    """Free space in etcd, and take back its NOSPACE alarm.

    Drops etcd's history, writes each member's file anew without its free pages (one at a time,
    the leader last, only while all others are well), then disarms the alarm.
    """
    from pgstead.operations.etcd_defrag import defrag as run  # noqa: PLC0415 - start-up time

    console = err()
    done = run(file, say=lambda title: console.print(title, markup=False), tell=stopping)
    if form is Format.JSON:
        print_json({"clusters": [_json(one) for one in done]})
        return
    for cluster in done:
        for one in cluster.members:
            line = f"{one.machine}: {_mebibytes(one.before)} -> {_mebibytes(one.after)}"
            out().print(f"{line}, {_mebibytes(one.used)} in use", markup=False)


def _mebibytes(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB"


def _json(done: Defragmented) -> dict[str, Any]:
    """Sizes are in bytes."""
    return {
        "cluster": done.cluster,
        "members": [
            {
                "machine": one.machine,
                "before": one.before,
                "after": one.after,
                "in_use": one.used,
            }
            for one in done.members
        ],
    }
