"""Lay a machine down: folders, files, setup commands, start scripts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pgstead.machine import Command, Directory, File, Machine, OnChange, bind
from pgstead.platforms.local import processes
from pgstead.platforms.local.card import Card, card_of, read_card, write_card
from pgstead.platforms.local.files import (
    explained,
    make_folder,
    own_folder,
    remove_tree,
    write_file,
)
from pgstead.platforms.local.lower import local_mode
from pgstead.platforms.local.places import MachinePlaces, Places
from pgstead.platforms.local.script import environment, script
from pgstead.run import run
from pgstead.waiting import wait

SETUP = "setup"
SETUP_SECONDS = 600.0


@dataclass(frozen=True)
class Layout:
    """A machine's files, as they should be."""

    places: Places
    stack_id: str
    machine: Machine

    @property
    def here(self) -> MachinePlaces:
        """The machine's places."""
        return self.places.machine(self.machine.name)

    def write_all(self, bindings: Mapping[str, str]) -> None:
        """Write everything; `bindings` replace bootstrap-only values."""
        with self.places.account.acting():
            self._base()
            for directory in self.machine.software.directories:
                self._directory(directory)
            for file in self.machine.software.files:
                self._file(file, bindings)
            self._scripts()
            write_card(self.here, card_of(self.machine))

    def write(self, paths: Collection[str]) -> None:
        """Write those files and folders, and the start scripts, of a machine that is there."""
        with self.places.account.acting():
            self._base()
            for directory in self.machine.software.directories:
                if directory.path in paths:
                    self._directory(directory)
            for file in self.machine.software.files:
                if file.path in paths and file.on_change is not OnChange.CREATE_ONLY:
                    self._file(file, {})
            self._scripts()

    def remove(self, paths: Collection[str], services: Collection[str]) -> None:
        """Remove files, and the start scripts of services."""
        gone = [self.here.of(path) for path in paths]
        gone += [self.here.script(service) for service in services]
        with self.places.account.acting():
            for path in gone:
                with explained(path):
                    path.unlink(missing_ok=True)

    def note(self, card: Card | None = None) -> None:
        """Write the machine's card: by default what it should be."""
        with self.places.account.acting():
            write_card(self.here, card or card_of(self.machine))

    def noted(self) -> Card | None:
        """The card in the machine's folder."""
        with self.places.account.acting(), explained(self.here.card):
            return read_card(self.here)

    def set_up(self, command: Command) -> None:
        """Run a setup command, unless what it creates is there.

        One that an earlier pgstead started, and that still runs, is waited for: its output
        goes to a file, so that it does not depend on who started it.
        """
        wait(self._no_setup_runs, deadline=SETUP_SECONDS, what=f"{command.name} to end")
        done = Path(command.creates)
        with self.places.account.acting(), explained(done):
            if done.exists():
                return
            make_folder(self.here.log(SETUP).parent)
            output = _appended(self.here.log(SETUP))
        with output:
            run(
                command.argv,
                user=self.places.account.user,
                env=environment(self.stack_id, self.machine.name, SETUP, self.here.folder),
                cwd=self.here.folder,
                output=output,
                timeout=SETUP_SECONDS,
            )

    def _no_setup_runs(self) -> bool | None:
        account = self.places.account
        found = processes.of_stack(self.stack_id, self.places.machines, account.uid)
        mine = (one for one in found if one.machine == self.machine.name)
        return None if any(one.service == SETUP for one in mine) else True

    def _base(self) -> None:
        here = self.here
        make_runtime(self.places, here)
        for folder in (here.folder, here.script("x").parent, here.lock("x").parent):
            make_folder(folder)

    def _directory(self, directory: Directory) -> None:
        path = self.here.of(directory.path)
        if not (directory.data and path.is_dir()):  # its server sets the permissions itself
            make_folder(path, local_mode(directory.mode))

    def _file(self, file: File, bindings: Mapping[str, str]) -> None:
        write_file(self.here.of(file.path), bind(file.content, bindings), local_mode(file.mode))

    def _scripts(self) -> None:
        for service in self.machine.software.services:
            text = script(self.here, self.stack_id, self.machine.name, service)
            write_file(self.here.script(service.name), text)


_making_root = threading.Lock()


def make_root(places: Places) -> None:
    """Make the stack's folder, which belongs to the servers' user."""
    root, account = places.root, places.account
    with _making_root, explained(root):
        root.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        root.mkdir(mode=0o700, exist_ok=True)
        if account.switch and root.stat().st_uid != account.uid:
            os.chown(root, account.uid, account.gid, follow_symlinks=False)
    with account.acting():
        make_folder(places.machines)


def make_runtime(places: Places, here: MachinePlaces) -> None:
    """Make the machine's folder for sockets, which a restart of the system may take away."""
    if here.runtime.parent == places.short:
        own_folder(places.short.parent, places.account.uid)
        own_folder(places.short, places.account.uid)
    make_folder(here.runtime)


def put_aside(places: Places, machine: str, data: Collection[str]) -> Path | None:
    """Move a machine's data folders aside; where to, or None if none of them holds anything."""
    here = places.machine(machine)
    with explained(here.folder):
        full = [path for path in data if _holds_anything(here.of(path))]
    if not full:
        return None
    aside = _unused(places.kept, machine)
    for path in full:
        target = aside / path.lstrip("/")
        with explained(target):
            make_folder(target.parent)
            here.of(path).replace(target)
    return aside


def remove_machine(places: Places, machine: str, keep: Collection[str] = ()) -> None:
    """Remove a machine's folder and its sockets, but for the folders to keep."""
    here = places.machine(machine)
    with explained(here.folder):
        kept = [here.of(path) for path in keep if _holds_anything(here.of(path))]
    remove_tree(here.folder, but=kept)
    if here.runtime.parent == places.short:
        remove_tree(here.runtime)


def _holds_anything(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())


def _unused(kept: Path, machine: str) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    number = 0
    while (path := kept / f"{machine}-{stamp}{f'-{number}' if number else ''}").exists():
        number += 1
    return path


def _appended(path: Path) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "ab")
