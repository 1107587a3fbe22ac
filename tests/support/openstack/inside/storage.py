"""Cinder's API, scheduler and volume service in one process, for the reasons in `compute`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def prepare() -> None:
    """Have threads replaced, and the modules read that all of them need."""
    import eventlet

    eventlet.monkey_patch()
    from cinder import objects

    objects.register_all()  # some modules want them there
    import cinder.api.v3.router
    import cinder.scheduler.manager
    import cinder.service
    import cinder.volume.manager
    import cinder.wsgi.wsgi  # noqa: F401


def started(etc: Path) -> Any:
    """The API's application, when the others serve."""
    sys.argv = ["cinder", "--config-file", str(etc / "cinder.conf")]
    from cinder import service
    from cinder.wsgi import wsgi
    from oslo_config import cfg

    application = wsgi.initialize_application()
    import os_brick

    os_brick.setup(cfg.CONF)
    for backend in cfg.CONF.enabled_backends:
        host = f"{cfg.CONF.host}@{backend}"
        names = {"host": host, "service_name": backend, "topic": "cinder-volume"}
        service.Service.create(binary="cinder-volume", coordination=True, **names).start()
    service.Service.create(binary="cinder-scheduler").start()
    return application
