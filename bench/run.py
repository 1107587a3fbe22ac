"""Everything that `make bench` measures: a table, and JSON."""

from __future__ import annotations

import cluster
import domains
import drill
import machine
import quickstart
import scale
import servers
from measures import keep, show

if __name__ == "__main__":
    parts = (scale, domains, servers, machine, cluster, quickstart, drill)
    measures = [one for part in parts for one in part.measure()]
    show(measures)
    keep(measures)
