"""The libvirt platform: machines are domains on KVM hosts."""

from __future__ import annotations

from pgstead.platforms.libvirt.platform import LibvirtPlatform

__all__ = ["LibvirtPlatform"]
