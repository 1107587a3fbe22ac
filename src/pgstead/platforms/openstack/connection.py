"""The connection to the cloud: opened when first needed, one for all threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import openstack
import requests
from keystoneauth1.session import TCPKeepAliveAdapter
from urllib3.util.retry import Retry

from pgstead.platforms.openstack.errors import CREDENTIALS, CloudDown, explained, quiet
from pgstead.spec.nearest import suggestion
from pgstead.spec.openstack import OpenStackPlatform

if TYPE_CHECKING:
    from openstack.block_storage.v3._proxy import Proxy as BlockStorage
    from openstack.compute.v2._proxy import Proxy as Compute
    from openstack.connection import Connection
    from openstack.image.v2._proxy import Proxy as Images
    from openstack.network.v2._proxy import Proxy as Network

REFUSED = (429,)
"""Asked again, whatever it was: this is said before anything was done."""

FAILING = (502, 503, 504)
"""Asked again where it was only a question: what was to be changed may have been."""

RETRIES = 4
SECONDS = 60.0
"""For one answer of the cloud."""

Connect = Callable[[], "Connection"]


class Cloud:
    """One project of one cloud. May be used from several threads."""

    def __init__(self, settings: OpenStackPlatform, connect: Connect | None = None) -> None:
        quiet()
        self._connect = connect or (lambda: _connect(settings))
        self._opened: Connection | None = None
        self._guard = threading.RLock()
        self.requests = 0
        """How many requests were sent so far."""

    @property
    def connection(self) -> Connection:
        """The open connection. Raises `CloudDown` where nothing says how to connect."""
        with self._guard:
            if self._opened is None:
                with explained("cannot connect to the cloud"):
                    self._opened = self._connect()
                self._watch(self._opened)
            return self._opened

    @property
    def compute(self) -> Compute:
        """Nova."""
        return cast("Compute", self._service("compute"))

    @property
    def network(self) -> Network:
        """Neutron."""
        return cast("Network", self._service("network"))

    @property
    def block_storage(self) -> BlockStorage:
        """Cinder."""
        return cast("BlockStorage", self._service("block_storage"))

    @property
    def image(self) -> Images:
        """Glance."""
        return cast("Images", self._service("image"))

    @property
    def project(self) -> str | None:
        """The project's id: an administrator is shown everybody's things otherwise."""
        with explained("cannot connect to the cloud"):
            found = self.connection.current_project_id
        return str(found) if found else None

    def close(self) -> None:
        """Let go of the connection."""
        with self._guard:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def _service(self, name: str) -> Any:
        """The service's proxy; finding it may ask for a token, which one thread does."""
        with self._guard, explained(f"cannot connect to the cloud's {name.replace('_', ' ')}"):
            proxy = getattr(self.connection, name)
            if getattr(proxy, "retriable_status_codes", None) != REFUSED:
                proxy.retriable_status_codes = REFUSED
                proxy.status_code_retries = RETRIES
            return proxy

    def _watch(self, connection: Connection) -> None:
        """Count what is sent, at the one place that everything goes through; ask patiently."""
        session = getattr(getattr(connection, "session", None), "session", None)
        if isinstance(session, requests.Session):
            session.hooks["response"].append(self._count)
            for scheme in ("http://", "https://"):
                session.mount(scheme, TCPKeepAliveAdapter(max_retries=_patience()))

    def _count(self, *_: Any, **__: Any) -> None:
        with self._guard:
            self.requests += 1


def _patience() -> Retry:
    """Questions alone are asked again, for some seconds: a service may just be restarted."""
    return Retry(
        total=RETRIES,
        connect=2,
        read=2,
        status_forcelist=FAILING,
        allowed_methods=("GET", "HEAD"),
        backoff_factor=0.5,
        raise_on_status=False,
    )


def _connect(settings: OpenStackPlatform) -> Connection:
    """By clouds.yaml and the OS_* variables, as every other client of the cloud.

    Raises `CloudDown` for a cloud that clouds.yaml does not name, with the names that it does.
    """
    from openstack.exceptions import ConfigException  # noqa: PLC0415 - as the SDK tells it

    try:
        return openstack.connect(
            cloud=settings.cloud,
            region_name=settings.region,
            app_name="pgstead",
            api_timeout=SECONDS,
        )
    except ConfigException as error:
        names = openstack.config.OpenStackConfig().get_cloud_names() if settings.cloud else []
        near = suggestion(settings.cloud or "", names)
        text = str(error).rstrip(".")
        raise CloudDown(f"cannot connect to the cloud: {text}{near}", hint=CREDENTIALS) from None
