"""Everything that `make bench` measures: a table, and JSON."""

from __future__ import annotations

import domains
import machine
import quickstart
import scale
from measures import keep, show

if __name__ == "__main__":
    measures = [*scale.measure(), *domains.measure(), *machine.measure(), *quickstart.measure()]
    show(measures)
    keep(measures)
