"""Commands that keep the state safe: state export, import, rekey, unlock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgstead.cli.arguments import DEFAULT_FILE, PassphraseFile, StackFile, Yes
from pgstead.cli.console import confirm, out


def add(app: typer.Typer) -> None:
    """Add these commands, under `state`."""
    state = typer.Typer(name="state", help="Back up, restore and unlock the state.")
    state.command("export")(export)
    state.command("import")(restore)
    state.command()(rekey)
    state.command()(unlock)
    app.add_typer(state)


def export(
    file: StackFile = DEFAULT_FILE,
    *,
    target: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write state and materials into one encrypted file."""
    from pgstead.operations.transfer import export as run  # noqa: PLC0415 - start-up time

    run(file, target, passphrase_file)
    out().print(f"Exported to {target}; keep the passphrase elsewhere.")


def restore(
    file: StackFile = DEFAULT_FILE,
    *,
    source: Annotated[Path, typer.Option("--input", "-i", help="File made by `state export`.")],
    passphrase_file: PassphraseFile = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a state that exists.")] = False,
) -> None:
    """Bring back state and materials from an exported file."""
    from pgstead.operations.transfer import restore as run  # noqa: PLC0415 - start-up time

    run(file, source, passphrase_file, force=force)
    out().print(f"Imported from {source}.")


def rekey(file: StackFile = DEFAULT_FILE) -> None:
    """Encrypt the materials with a new key."""
    from pgstead.operations.transfer import rekey as run  # noqa: PLC0415 - start-up time

    out().print(f"The materials have a new key: {run(file)}")


def unlock(file: StackFile = DEFAULT_FILE, *, yes: Yes = False) -> None:
    """Take away a lock whose holder is stuck; one whose holder is gone never blocks."""
    from pgstead.operations.transfer import unlock as run  # noqa: PLC0415 - start-up time

    def accept(holder: str) -> bool:
        return confirm(f"Take the lock away from {holder}?", yes=yes)

    out().print("Unlocked." if run(file, accept=accept) else "Nothing was locked.")
