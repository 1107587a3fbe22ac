"""Commands that connect: dsn, psql, switchover."""

from __future__ import annotations

from typing import Annotated

import typer

from pgstead.cli.arguments import DEFAULT_FILE, Output, StackFile, Yes, split_file
from pgstead.cli.console import Format, confirm, err, out, print_json, stopping
from pgstead.connection import Target


def add(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(dsn)
    app.command(context_settings={"ignore_unknown_options": True})(psql)
    app.command()(switchover)


ROLE = Annotated[Target, typer.Option("--role", help="Which endpoint.")]
ADMIN = Annotated[bool, typer.Option("--admin", help="As the superuser.")]


def dsn(
    file: StackFile = DEFAULT_FILE,
    *,
    role: ROLE = Target.PRIMARY,
    admin: ADMIN = False,
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Put the password in, for other drivers.")
    ] = False,
) -> None:
    """Print a libpq URI that works as printed."""
    from pgstead.operations.connect import dsn as run  # noqa: PLC0415 - start-up time

    typer.echo(run(file, role, admin=admin, with_password=with_password))


def psql(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE] [-- ARGS]", hidden=True)
    ] = None,
    *,
    role: ROLE = Target.PRIMARY,
    admin: ADMIN = False,
) -> None:
    """Run psql, connected.

    What stands after `--` is given to psql: pgstead psql stack.yaml -- -c 'SELECT 1'
    """
    from pgstead.operations.connect import psql as run  # noqa: PLC0415 - start-up time

    file, arguments = split_file(words)
    run(file, role, arguments, admin=admin)


def switchover(
    file: StackFile = DEFAULT_FILE,
    *,
    to: Annotated[str | None, typer.Option("--to", metavar="MEMBER", help="New leader.")] = None,
    yes: Yes = False,
    form: Output = Format.TEXT,
) -> None:
    """Hand the leader's role to a standby.

    Nothing is lost. Without --to, one leads that lacks nothing, whichever is first: writes
    stop for about 2 s. With --to, the other standbys wait before they follow, which costs 2 s more.
    """
    from pgstead.operations.switchover import switchover as run  # noqa: PLC0415 - start-up time

    def accept(leader: str, candidates: str) -> bool:
        return confirm(f"Switch from {leader} to {candidates}?", yes=yes)

    done = run(file, to, accept=accept, tell=stopping)
    if done is None:
        err().print("Nothing was changed.")
    elif form is Format.JSON:
        print_json({"from": done.before, "to": done.after, "seconds": round(done.seconds, 2)})
    else:
        out().print(f"{done.after} leads now ({done.before} did), after {done.seconds:.1f} s")
