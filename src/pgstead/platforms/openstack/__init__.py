"""Machines as servers of an OpenStack cloud.

The only place that imports openstacksdk.
"""

from pgstead.platforms.openstack.platform import OpenStackPlatform

__all__ = ["OpenStackPlatform"]
