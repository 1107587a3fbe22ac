"""Nova's API, conductor, scheduler and compute hosts in one process.

They talk through oslo.messaging's driver for one process, so there is no broker. They take turns
as eventlet's green threads, which never switch within an SQLite transaction.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from support.openstack.services import ZONES


def prepare() -> None:
    """Have threads replaced, and the modules read that all of them need."""
    from nova import monkey_patch

    monkey_patch.patch(backend="eventlet")
    import nova.api.openstack.compute.routes
    import nova.api.openstack.wsgi_app
    import nova.compute.manager
    import nova.conductor.manager
    import nova.scheduler.manager
    import nova.service  # noqa: F401


def started(etc: Path) -> Any:
    """The API's application, when all the others serve."""
    _configure(etc)
    _name_our_driver()
    _start_services()
    _map_hosts()
    _make_zones()
    from nova.api.openstack import wsgi_app

    return wsgi_app.init_application("osapi_compute", "nova-api")


def _configure(etc: Path) -> None:
    os.environ["OS_NOVA_CONFIG_DIR"] = str(etc)
    os.environ["OS_NOVA_CONFIG_FILES"] = f"{os.environ['LAB_ETC']}/nova/api-paste.ini;nova.conf"
    import os_brick
    import os_vif
    from nova.api.openstack import wsgi_app
    from nova.conf import CONF
    from nova.virt import node
    from oslo_privsep import priv_context

    wsgi_app.init_global_data(wsgi_app._get_config_files(), "osapi_compute", "nova-api")
    os_brick.setup(CONF)
    os_vif.initialize()
    priv_context.init(root_helper=["env"])  # as we are, not through sudo
    node.get_local_node_uuid()  # hosts want its file there, though ours are named otherwise


def _name_our_driver() -> None:
    """`compute_driver` names a module below nova.virt: have ours found there."""
    from nova import virt

    virt.__path__.append(str(Path(__file__).parent))


def _start_services() -> None:
    from nova import service
    from nova.compute import rpcapi as compute
    from nova.conductor import rpcapi as conductor
    from nova.scheduler import rpcapi as scheduler

    create = service.Service.create
    create(binary="nova-conductor", topic=conductor.RPC_TOPIC).start()
    create(binary="nova-scheduler", topic=scheduler.RPC_TOPIC).start()
    for host in ZONES:
        topics = {"topic": compute.RPC_TOPIC, "topic_alt": compute.RPC_TOPIC_ALT}
        create(host=host, binary="nova-compute", **topics).start()


def _map_hosts() -> None:
    """What `nova-manage cell_v2 discover_hosts` does."""
    from nova import context
    from nova.objects import host_mapping

    host_mapping.discover_hosts(context.get_admin_context())


def _make_zones() -> None:
    """An availability zone for each host, as an administrator makes them; they are kept."""
    from nova import context
    from nova.compute import api
    from nova.objects import aggregate

    admin, known = context.get_admin_context(), api.AggregateAPI()
    there = {one.name for one in aggregate.AggregateList.get_all(admin)}
    for host, zone in ZONES.items():
        if zone not in there:
            made = known.create_aggregate(admin, zone, zone)
            known.add_host_to_aggregate(admin, made.id, host)
