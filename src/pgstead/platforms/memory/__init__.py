"""A platform that only remembers: for trying a stack file, for tests and for benchmarks."""

from pgstead.platforms.memory.platform import MemoryPlatform
from pgstead.platforms.memory.provider import MemoryProvider
from pgstead.platforms.memory.world import World

__all__ = ["MemoryPlatform", "MemoryProvider", "World"]
