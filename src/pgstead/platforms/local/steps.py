"""The steps that make, change and remove a machine. Each one can be run again at any point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from pgstead.engine.resource import Data, Step, Steps
from pgstead.errors import CommandFailed
from pgstead.machine import Command, OnChange
from pgstead.platforms.local import processes
from pgstead.platforms.local.card import Card, card_of
from pgstead.platforms.local.files import explained, tail_of
from pgstead.platforms.local.layout import SETUP, Layout, make_root, put_aside, remove_machine
from pgstead.platforms.local.places import Places
from pgstead.platforms.local.services import Services
from pgstead.platforms.software import STOPPED, UNSUPERVISED, Actions, actions

ServicesOf = Callable[[Card], Services]


def create(layout: Layout, services_of: ServicesOf, bindings: Mapping[str, str]) -> Steps:
    """Make a machine: lay it down, set it up, start it, wait for it."""
    machine = layout.machine
    services = services_of(card_of(machine))

    def lay_down() -> None:
        make_root(layout.places)
        if layout.noted() is None:
            # Nothing of it is known: what still runs in its name lost its folder.
            services.cut_off()
        layout.write_all(bindings)

    yield Step(f"lay down the files of {machine.name}", lay_down)
    for command in machine.software.setup:
        yield Step(f"set up: {command.name}", _setting_up(layout, command))
    yield Step(f"start {machine.name}", lambda: _start(layout, services))
    yield Step(f"wait until {machine.name} is ready", services.wait_ready)


def update(
    layout: Layout,
    services_of: ServicesOf,
    changed: Mapping[str, OnChange],
    running: Mapping[str, str],
) -> Steps:
    """Push what changed, then start, reload or restart the services that read it.

    `running` tells of each service whether it is `running`, `stopped` or `unsupervised`.
    """
    machine = layout.machine
    stopped = frozenset(name for name, state in running.items() if state == STOPPED)
    todo = actions(machine.software, changed, stopped)
    services = services_of(card_of(machine))
    if todo.push or todo.remove or _commands(changed):
        yield Step(f"push files to {machine.name}", lambda: _push(layout, todo))
    for name in todo.retire:
        yield Step(f"stop {name}", partial(_retire, layout, services_of, name))
    if todo.start:
        yield Step(f"start {', '.join(todo.start)}", lambda: _bring_up(services, todo.start))
    for name in todo.reload:
        yield Step(f"reload {name}", partial(services.reload, name))
    for name in todo.restart:
        if running.get(name) == UNSUPERVISED:
            yield Step(f"take over {name}", partial(_bring_up, services, (name,)))
        else:
            yield Step(f"restart {name}", partial(services.restart, name))
    yield Step(f"note what {machine.name} is now", layout.note)


def delete(places: Places, services: Services, data: Data) -> Steps:
    """Stop a machine, verify that it is gone, and remove it, but for its data unless told so."""
    name = services.card.machine

    def remove() -> None:
        services.supervisor.forget(name)
        with places.account.acting():
            if data is Data.ASIDE:
                put_aside(places, name, services.card.data)
            remove_machine(places, name, services.card.data if data is Data.KEEP else ())

    yield Step(f"stop {name}", services.stop_all)
    fate = {Data.KEEP: ", but for its data", Data.ASIDE: f", its data goes to {places.kept}"}
    rest = fate.get(data, "") if services.card.data else ""
    yield Step(f"remove the folder of {name}{rest}", remove)


def _setting_up(layout: Layout, command: Command) -> Callable[[], None]:
    def run() -> None:
        try:
            layout.set_up(command)
        except CommandFailed as error:
            log = layout.here.log(SETUP)
            with layout.places.account.acting():
                text = tail_of(log)
            message = f"{error.message.partition(': ')[0]}\n{text}"
            raise CommandFailed(message, hint=f"the whole log is in {log}") from error

    return run


def _start(layout: Layout, services: Services) -> None:
    """Start the services; one that has run since before its files were written is restarted."""
    stale = [one for one in services.card.services if _is_stale(layout, services, one.name)]
    for service in stale:
        services.stop_one(service)
    services.start_all()


def _is_stale(layout: Layout, services: Services, name: str) -> bool:
    paths = [
        layout.here.of(one.path) for one in layout.machine.software.files if one.service == name
    ]
    paths.append(layout.here.script(name))
    with layout.places.account.acting(), explained(layout.here.folder):
        written = max(path.stat().st_mtime for path in paths)
    mains = services.mains(name)
    return any(processes.started_at(one) < written for one in mains)


def _push(layout: Layout, todo: Actions) -> None:
    """Write and remove files; services that go are still noted, so that a rerun finds them."""
    wanted = card_of(layout.machine)
    known = layout.noted()
    going = [one for one in known.services if one.name in todo.retire] if known else []
    layout.write(todo.push)
    layout.remove(todo.remove, ())
    layout.note(replace(wanted, services=(*wanted.services, *going)))


def _retire(layout: Layout, services_of: ServicesOf, name: str) -> None:
    card = layout.noted()
    if card is None or name not in [one.name for one in card.services]:
        return
    services = services_of(card)
    services.stop_one(card.service(name))
    services.supervisor.remove(f"{name}@{card.machine}")
    left = card.without((name,))
    services.supervisor.configure(card.machine, left.services)
    layout.remove((), (name,))
    layout.note(left)


def _bring_up(services: Services, names: tuple[str, ...]) -> None:
    services.start_all(names)
    services.wait_ready(names)


def _commands(changed: Mapping[str, OnChange]) -> bool:
    return any(key.startswith("service:") for key in changed)
