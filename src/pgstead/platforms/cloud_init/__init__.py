"""cloud-init: a machine's first boot, as the texts that a NoCloud disk holds.

first = first_boot(machine, access, bindings)
first.user_data, first.meta_data, first.network_config
"""

from __future__ import annotations

from pgstead.platforms.cloud_init.first_boot import (
    NO_CLUSTER,
    Access,
    FirstBoot,
    access_user_data,
    after_boot,
    apt_version,
    first_boot,
    whole_user_data,
)
from pgstead.platforms.cloud_init.places import conventional, conventional_text
from pgstead.platforms.cloud_init.script import DONE, FAILED, SCRIPT
from pgstead.platforms.cloud_init.units import unit, unit_name, unit_path

__all__ = [
    "DONE",
    "FAILED",
    "NO_CLUSTER",
    "SCRIPT",
    "Access",
    "FirstBoot",
    "access_user_data",
    "after_boot",
    "apt_version",
    "conventional",
    "conventional_text",
    "first_boot",
    "unit",
    "unit_name",
    "unit_path",
    "whole_user_data",
]
