"""The connection to the cloud: opened when first needed, one for all threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import openstack
import requests
from keystoneauth1.session import TCPKeepAliveAdapter
from urllib3.util.retry import Retry

from pgstead.engine.apply import WORKERS
from pgstead.platforms.openstack.errors import CREDENTIALS, CloudDown, explained, quiet
from pgstead.spec.nearest import suggestion
from pgstead.spec.openstack import OpenStackPlatform
from pgstead.waiting import pause

if TYPE_CHECKING:
    from openstack.block_storage.v3._proxy import Proxy as BlockStorage
    from openstack.compute.v2._proxy import Proxy as Compute
    from openstack.connection import Connection
    from openstack.image.v2._proxy import Proxy as Images
    from openstack.network.v2._proxy import Proxy as Network
    from urllib3 import BaseHTTPResponse

REFUSED = (429,)
"""Asked again, whatever it was: this is said before anything was done."""

FAILING = (502, 503, 504)
"""Asked again where it was only a question: what was to be changed may have been."""

RETRIES = 4
SECONDS = 60.0
"""For one answer of the cloud; and as long as that a Retry-After is obeyed at most."""

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
            return getattr(self.connection, name)

    def _watch(self, connection: Connection) -> None:
        """Count what is sent, at the one place that everything goes through; ask patiently."""
        session = getattr(getattr(connection, "session", None), "session", None)
        if isinstance(session, requests.Session):
            session.hooks["response"].append(self._count)
            for scheme in ("http://", "https://"):
                session.mount(scheme, _adapter())

    def _count(self, *_: Any, **__: Any) -> None:
        with self._guard:
            self.requests += 1


def _adapter() -> TCPKeepAliveAdapter:
    """Connections are kept, one for each change that is made side by side with others."""
    return TCPKeepAliveAdapter(max_retries=_patience(), pool_maxsize=WORKERS)


class Patience(Retry):
    """Asks again what was refused unheard, when the cloud says; and questions that failed."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: FBT001, FBT002 - as urllib3 calls it
        """Whether this answer is worth another try."""
        refused = status_code in REFUSED
        return refused or super().is_retry(method, status_code, has_retry_after)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Until the next try. Raises `Interrupted` once the user wants the work to stop."""
        told = self.get_retry_after(response) if response is not None else None
        pause(self.get_backoff_time() if told is None else min(told, SECONDS))


def _patience() -> Retry:
    """For some seconds, which a service takes that is just restarted."""
    return Patience(
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
