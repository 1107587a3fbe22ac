"""One service of the lab: `serve NAME ADDRESS PORT`, in the lab's folder.

This process only forks the one that serves, as most servers of such applications do: for each
byte on standard input, once, and it tells that one's process id on standard output. What takes
most of the time of a start, the reading of thousands of modules, is done before: a service that
was killed is there again soon. All of them end when standard input does. They run with the
lab's own environment, not the project's.
"""

from __future__ import annotations

import gc
import os
import sys
from _thread import start_new_thread
from collections.abc import Callable
from importlib import import_module

# The system's own, before anything can replace them by something that takes turns.
from os import fork, read, waitpid, write
from pathlib import Path
from typing import Any

Application = Callable[..., Any]
ETC = Path.cwd() / "etc"


def end_with_parent() -> None:
    """Leave when standard input ends: nobody is there any more who would stop us."""

    def listen() -> None:
        while read(0, 1):
            pass
        os._exit(0)

    start_new_thread(listen, ())


def keystone() -> Application:
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(ETC)
    from keystone.wsgi.api import application

    return application  # type: ignore[no-any-return]


def glance() -> Application:
    os.environ["OS_GLANCE_CONFIG_DIR"] = str(ETC)
    from glance.wsgi.api import application

    return application  # type: ignore[no-any-return]


def placement() -> Application:
    os.environ["OS_PLACEMENT_CONFIG_DIR"] = str(ETC)
    from placement.wsgi.api import application

    return application  # type: ignore[no-any-return]


def neutron() -> Application:
    os.environ["OS_NEUTRON_CONFIG_DIR"] = str(ETC)
    os.environ["OS_NEUTRON_CONFIG_FILES"] = "neutron.conf"
    from neutron.wsgi.api import application

    return application  # type: ignore[no-any-return]


def nova() -> Application:
    from support.openstack.inside import compute

    return compute.started(ETC)  # type: ignore[no-any-return]


def cinder() -> Application:
    from support.openstack.inside import storage

    return storage.started(ETC)  # type: ignore[no-any-return]


GREEN = {"nova": nova, "cinder": cinder}
"""Several services in one process, which take turns: see `compute`."""

THREADED = {"keystone": keystone, "glance": glance, "placement": placement, "neutron": neutron}


MODULES = {
    "keystone": ("keystone.server.wsgi", "keystone.api"),
    "glance": ("glance.common.wsgi_app", "glance.api.v2.router"),
    "neutron": ("neutron.server", "neutron.plugins.ml2.plugin"),
}
"""What those read that prepare nothing themselves."""


def prepare(name: str) -> None:
    """Do what is the same at each start and leaves nothing open: no file, no thread."""
    if name in GREEN:
        from support.openstack.inside import compute, storage

        {"nova": compute, "cinder": storage}[name].prepare()
    for module in MODULES.get(name, ()):
        import_module(module)


def serve_in_threads(application: Application, address: str, port: int) -> None:
    import waitress

    # One thread: then a database has one writer, and SQLite nobody to keep waiting.
    waitress.serve(application, host=address, port=port, ident=None, threads=1)


def serve_in_turns(application: Application, address: str, port: int) -> None:
    import eventlet
    from eventlet import wsgi

    wsgi.server(eventlet.listen((address, port)), application, log_output=False)


def serve(name: str, address: str, port: int) -> None:
    """Serve for ever."""
    end_with_parent()
    made = (GREEN | THREADED)[name]()
    from support.openstack.inside.middleware import Watched

    serve = serve_in_turns if name in GREEN else serve_in_threads
    serve(Watched(made, name, Path.cwd()), address, port)


def main(name: str, address: str, port: int) -> None:
    sys.argv = [name]  # the services would read it
    told = os.dup(1)
    os.dup2(2, 1)  # whatever services print goes where their errors go
    prepare(name)
    gc.freeze()
    while read(0, 1):
        if (server := fork()) == 0:
            os.close(told)
            serve(name, address, port)
            os._exit(0)
        write(told, b"%d\n" % server)
        waitpid(server, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
