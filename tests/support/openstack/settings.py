"""The services' configuration files, from nested dictionaries: file, section, option.

Databases are named relative to the folder in which each service is started, so that what is
in them is the same for every lab.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.openstack.services import PASSWORD, SERVICES

Sections = dict[str, dict[str, object]]

AGAIN = 1
"""How often services ask each other again: who is dead here stays so until a test goes on."""


def database(name: str) -> str:
    """How SQLAlchemy connects to a database; a second writer waits 30 s for the first."""
    return f"sqlite:///db/{name}.sqlite?timeout=30"


def configurations(folder: Path, etc: Path, address: str) -> dict[str, str]:
    """The files below `folder`/etc.

    Args:
        folder: The lab's own, where everything that runs writes.
        etc: The `etc` that comes with the services' packages.
        address: Where the services listen.
    """
    urls = {name: one.url(address) for name, one in SERVICES.items()}
    made = {
        "keystone.conf": _keystone(folder),
        "glance-api.conf": _glance(folder, etc, urls),
        "placement.conf": _placement(folder, urls),
        "neutron.conf": _neutron(folder, etc, urls),
        "nova.conf": _nova(folder, address, urls),
        "cinder.conf": _cinder(folder, etc, urls),
    }
    return {name: _text(sections) for name, sections in made.items()}


def _text(sections: Sections) -> str:
    blocks = []
    for section, options in sections.items():
        lines = (f"{option} = {value}" for option, value in options.items())
        blocks.append("\n".join([f"[{section}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _keystone(folder: Path) -> Sections:
    return {
        "DEFAULT": _logging(folder, "keystone"),
        "database": _database("keystone"),
        "identity": {"password_hash_rounds": 4},  # the fewest that bcrypt takes: it is a lab
        "fernet_tokens": {"key_repository": folder / "fernet"},
        "fernet_receipts": {"key_repository": folder / "fernet"},
        "credential": {"key_repository": folder / "credential"},
        # A token takes a hundred queries. One process serves: what it remembers is right.
        "cache": {"enabled": "true", "backend": "oslo_cache.dict"},
    }


def _glance(folder: Path, etc: Path, urls: Mapping[str, str]) -> Sections:
    def store(name: str) -> dict[str, object]:
        return {"filesystem_store_datadir": folder / "glance" / name}

    return {
        "DEFAULT": {
            **_logging(folder, "glance"),
            "enabled_backends": "files:file",
            "worker_self_reference_url": urls["glance"],
        },
        "glance_store": {"default_backend": "files"},
        "files": store("images"),
        "os_glance_staging_store": store("staging"),
        "os_glance_tasks_store": store("tasks"),
        "database": _database("glance"),
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": etc / "glance" / "glance-api-paste.ini",
        },
        "oslo_concurrency": {"lock_path": folder / "lock"},
        "keystone_authtoken": _tokens(urls),
    }


def _placement(folder: Path, urls: Mapping[str, str]) -> Sections:
    return {
        "DEFAULT": _logging(folder, "placement"),
        "placement_database": _database("placement"),
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": _tokens(urls),
    }


def _neutron(folder: Path, etc: Path, urls: Mapping[str, str]) -> Sections:
    unlimited = ("network", "subnet", "port", "router", "floatingip", "security_group")
    return {
        "DEFAULT": {
            **_common(folder, "neutron"),
            "core_plugin": "ml2",
            "service_plugins": "router",
            "api_paste_config": etc / "neutron" / "api-paste.ini",
            "dhcp_agent_notification": "false",
            "notify_nova_on_port_status_changes": "false",
            "notify_nova_on_port_data_changes": "false",
        },
        "ml2": {
            "type_drivers": "local,flat,vlan",
            "tenant_network_types": "local",
            "mechanism_drivers": "anywhere",
            "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "ml2_type_vlan": {"network_vlan_ranges": "physical:100:200"},
        "quotas": {f"quota_{what}": -1 for what in (*unlimited, "security_group_rule")},
        "database": _database("neutron"),
        "oslo_concurrency": {"lock_path": folder / "lock"},
        "keystone_authtoken": _tokens(urls),
    }


def _nova(folder: Path, address: str, urls: Mapping[str, str]) -> Sections:
    def client(name: str) -> dict[str, object]:
        return {**_login(urls), "endpoint_override": urls[name]}

    unlimited = ("instances", "cores", "ram", "key_pairs", "server_groups", "server_group_members")
    return {
        "DEFAULT": {
            **_common(folder, "nova"),
            "compute_driver": "guests.Guests",
            "my_ip": address,
            "instances_path": folder / "nova" / "instances",
            "vif_plugging_is_fatal": "false",
            "vif_plugging_timeout": 0,  # nobody plugs anything: neutron would never tell
            "sync_power_state_interval": -1,
            "service_down_time": 100_000_000,
        },
        "vnc": {"enabled": "false"},
        "api_database": _database("nova_api"),
        "database": _database("nova_cell1"),
        "glance": {**client("glance"), "num_retries": AGAIN},
        "placement": client("placement"),
        "neutron": {**client("neutron"), "http_retries": AGAIN},
        "cinder": {
            **_login(urls),
            "catalog_info": "block-storage::publicURL",
            "http_retries": AGAIN,
        },
        "service_user": {**_login(urls), "send_service_user_token": "true"},
        "quota": dict.fromkeys(unlimited, -1),
        "scheduler": {"discover_hosts_in_cells_interval": -1},
        "oslo_concurrency": {"lock_path": folder / "lock"},
        "keystone_authtoken": _tokens(urls),
    }


def _cinder(folder: Path, etc: Path, urls: Mapping[str, str]) -> Sections:
    unlimited = ("volumes", "snapshots", "gigabytes")
    return {
        "DEFAULT": {
            **_common(folder, "cinder"),
            **{f"quota_{what}": -1 for what in unlimited},
            "auth_strategy": "keystone",
            "api_paste_config": etc / "cinder" / "api-paste.ini",
            # Without it members may filter by nothing; distributions install it.
            "resource_query_filters_file": etc / "cinder" / "resource_filters.json",
            "enabled_backends": "nowhere",
            "glance_api_servers": urls["glance"],
            "glance_num_retries": AGAIN,
            "scheduler_driver_init_wait_time": 1,
            "service_down_time": 100_000_000,
            "allow_availability_zone_fallback": "true",
        },
        "nowhere": {
            "volume_driver": "support.openstack.inside.volumes.Nowhere",
            "volume_backend_name": "nowhere",
        },
        "coordination": {"backend_url": f"file://{folder}/cinder/coordination"},
        "database": _database("cinder"),
        "nova": {**_login(urls), "interface": "public"},
        "service_user": {**_login(urls), "send_service_user_token": "true"},
        "oslo_concurrency": {"lock_path": folder / "lock"},
        "keystone_authtoken": _tokens(urls),
    }


def _logging(folder: Path, name: str) -> dict[str, object]:
    return {"log_file": folder / "log" / f"{name}.log", "use_stderr": "false"}


def _common(folder: Path, name: str) -> dict[str, object]:
    """What services have that send messages, though only within their own process."""
    return {
        **_logging(folder, name),
        "host": "lab",
        "transport_url": "fake://",
        "state_path": folder / name,
    }


def _database(name: str) -> dict[str, object]:
    # Nothing of a lab has to survive the machine.
    return {"connection": database(name), "sqlite_synchronous": "false"}


def _login(urls: Mapping[str, str]) -> dict[str, object]:
    return {
        "auth_type": "password",
        "auth_url": f"{urls['keystone']}/v3",
        "username": "admin",
        "password": PASSWORD,
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }


def _tokens(urls: Mapping[str, str]) -> dict[str, object]:
    return {
        **_login(urls),
        "www_authenticate_uri": urls["keystone"],
        "service_token_roles": "service",
        "service_token_roles_required": "true",
    }
