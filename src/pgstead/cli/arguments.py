"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from pgstead.cli.console import Format
from pgstead.errors import SpecError

DEFAULT_FILE = Path("pgstead.yaml")

StackFile = Annotated[
    Path, typer.Argument(metavar="[FILE]", help="The stack file.", show_default=True)
]
Output = Annotated[Format, typer.Option("--format", help="How to print the result.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Go on without asking.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="File that holds the passphrase, or PGSTEAD_PASSPHRASE."
    ),
]
Recreate = Annotated[
    list[str] | None,
    typer.Option(
        "--recreate",
        metavar="ADDRESS",
        help="Make this resource anew although the only copy of its data is gone; a cluster "
        "(etcd.NAME) stands for its members.",
    ),
]


class Command(TyperCommand):
    """A command whose usage tells its arguments as their metavar has them, and no more."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """`[OPTIONS]`, then the arguments."""
        del ctx
        arguments = (param for param in self.params if param.param_type_name == "argument")
        return [self.options_metavar or "", *(str(each.metavar) for each in arguments)]


def use_command(app: typer.Typer) -> None:
    """Have all of its commands be of that kind."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance:
            use_command(group.typer_instance)


def split_file(words: list[str] | None) -> tuple[Path, list[str]]:
    """The stack file and the rest; a first word that is no file's name belongs to the rest."""
    first, *rest = words or [str(DEFAULT_FILE)]
    named = Path(first)
    if named.suffix in (".yaml", ".yml", ".json") or named.is_file():
        return named, rest
    return DEFAULT_FILE, [first, *rest]


def at_most(words: list[str], expected: str) -> list[str | None]:
    """The words by position, None where one was left out.

    `expected` is a usage text, e.g. `MACHINE [SERVICE]`. Raises `SpecError` when there are
    more words than it has, or a word that is no option is missing.
    """
    names = expected.split()
    needed = sum(not name.startswith("[") for name in names)
    if not needed <= len(words) <= len(names):
        raise SpecError(
            f"expected [FILE] {expected}, but got: {' '.join(words) or 'nothing'}",
            hint="run the command with --help",
        )
    return [*words, *[None] * (len(names) - len(words))]
