"""The local platform: real servers on this machine, without root or with."""

from __future__ import annotations

from pgstead.platforms.local.platform import LocalPlatform, LocalSettings

__all__ = ["LocalPlatform", "LocalSettings"]
