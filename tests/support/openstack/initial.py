"""The state of a lab before its first start: databases and keys, made once and kept in the cache.

Nothing in it depends on where a lab lies or listens; the address is filled in in the copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from pgstead.run import run
from support.openstack import settings
from support.openstack.environment import (
    COMPLETE,
    DIGITS,
    HERE,
    Environment,
    base_folder,
    forget_unused,
    locked,
)
from support.openstack.services import NOWHERE

SECONDS = 300.0
KEPT = ("db", "fernet", "credential")
FOLDERS = (
    *KEPT,
    *("etc", "faults", "guests", "lock", "log", "neutron", "requests"),
    *("glance/images", "glance/staging", "glance/tasks", "nova/instances", "cinder/coordination"),
)
MADE_BY = ("initial.py", "services.py", "settings.py", "inside/accounts.py", "inside/networks.py")

Words = tuple[str, ...]


def prepare(folder: Path, environment: Environment, address: str) -> None:
    """Make all of a lab's files in an empty folder.

    Raises `CommandFailed`, with what one of the services' own tools said.
    """
    state = initial_state(environment)
    _write_files(folder, environment, address)
    for name in KEPT:
        shutil.copytree(state / name, folder / name, dirs_exist_ok=True)
    _fill_in(folder, address)


def initial_state(environment: Environment) -> Path:
    """The folder with what is kept, made first if it is not there: 20 s."""
    state = base_folder() / f"{_digest(environment)}-state"
    with locked(base_folder() / "initial.lock"):
        if not (state / COMPLETE).exists():
            forget_unused()
            _make(state, environment)
        (state / COMPLETE).touch()
    return state


def _digest(environment: Environment) -> str:
    parts = [environment.folder.name.encode()]
    parts += [(HERE / name).read_bytes() for name in MADE_BY]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:DIGITS]


def _write_files(folder: Path, environment: Environment, address: str) -> None:
    for name in FOLDERS:
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    files = settings.configurations(folder, environment.etc, address)
    for name, text in files.items():
        (folder / "etc" / name).write_text(text)


def _make(state: Path, environment: Environment) -> None:
    shutil.rmtree(state, ignore_errors=True)
    with TemporaryDirectory(prefix="pgstead-lab-") as name:
        folder = Path(name)
        _write_files(folder, environment, NOWHERE)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda chain: _run(chain, folder, environment), _chains()))
        for file in (folder / "db").iterdir():
            _read_while_written(file)
        for kept in KEPT:
            shutil.copytree(folder / kept, state / kept)


def _chains() -> Iterable[tuple[Words, ...]]:
    """What makes the databases, the longest first; each chain is run in its order."""
    module = ("python", "-m")
    nova = ("nova-manage", "--config-file", "etc/nova.conf")
    cell0 = ("--database_connection", settings.database("nova_cell0"))
    return (
        (
            (*nova, "api_db", "sync"),
            (*nova, "cell_v2", "map_cell0", *cell0),
            (*nova, "cell_v2", "create_cell", "--name", "cell1"),
            (*nova, "db", "sync"),
        ),
        ((*module, "support.openstack.inside.accounts"),),
        ((*module, "support.openstack.inside.networks"),),
        (("cinder-manage", "--config-file", "etc/cinder.conf", "db", "sync"),),
        (("glance-manage", "--config-file", "etc/glance-api.conf", "db_sync"),),
        (("placement-manage", "--config-file", "etc/placement.conf", "db", "sync"),),
    )


def _run(chain: Iterable[Words], folder: Path, environment: Environment) -> None:
    for program, *words in chain:
        path = environment.folder / "bin" / program
        run([path, *words], env=environment.variables, cwd=folder, timeout=SECONDS)


def _read_while_written(file: Path) -> None:
    """Have readers not wait for a writer: a setting that stays in the file."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")


def _fill_in(folder: Path, address: str) -> None:
    with closing(sqlite3.connect(folder / "db" / "keystone.sqlite")) as database, database:
        change = "UPDATE endpoint SET url = replace(url, ?, ?)"
        database.execute(change, (NOWHERE, address))
