"""Breaking machines on purpose: what drills ask of a platform, and ways that several share.

`base.py` is the protocol, `guest.py` its implementation for machines with a system of their own,
`unbreakable.py` the one for machines that nothing can be done to.
"""

from pgstead.platforms.breaking.base import Breakage, Breaking, Cut, Process
from pgstead.platforms.breaking.unbreakable import Unbreakable

__all__ = ["Breakage", "Breaking", "Cut", "Process", "Unbreakable"]
