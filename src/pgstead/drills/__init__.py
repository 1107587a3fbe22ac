"""Drills: a cluster broken on purpose under load, measured and judged.

`rounds.run` is the course of one round: write, strike, wait, restore, judge. `faults/` is
what can be broken; `workload` writes and reads meanwhile; `judge` tells from the ledger and
the rows found in the end what it cost. Everything but `workload`, `rounds` and the faults is
pure.
"""
