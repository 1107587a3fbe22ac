"""One service of the lab, as a process: `serve NAME ADDRESS PORT`, in the lab's folder.

It runs with the lab's own environment, not the project's, and ends when its standard input does.
"""

from __future__ import annotations

import _thread
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Application = Callable[..., Any]
ETC = Path.cwd() / "etc"


def end_with_parent() -> None:
    """Leave when standard input ends: nobody is there any more who would stop us.

    A thread of the system's, made before anything can replace threads by something lighter.
    """

    def listen() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    _thread.start_new_thread(listen, ())


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


def serve_in_threads(application: Application, address: str, port: int) -> None:
    import waitress

    # One thread: then a database has one writer, and SQLite nobody to keep waiting.
    waitress.serve(application, host=address, port=port, ident=None, threads=1)


def serve_in_turns(application: Application, address: str, port: int) -> None:
    import eventlet
    from eventlet import wsgi

    wsgi.server(eventlet.listen((address, port)), application, log_output=False)


def main(name: str, address: str, port: int) -> None:
    end_with_parent()
    sys.argv = [name]  # the services would read it
    made = (GREEN | THREADED)[name]()
    from support.openstack.inside.middleware import Watched

    serve = serve_in_turns if name in GREEN else serve_in_threads
    serve(Watched(made, name, Path.cwd()), address, port)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
