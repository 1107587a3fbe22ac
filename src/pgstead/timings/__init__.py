"""Failover timings: what must hold between them, and how long writes stop at worst.

Pure arithmetic on `settings.Settings`, which clusters and modules both come to: `rules` says
which sets are unsafe, `worst_case` adds up what a fault costs, `targets` are whole sets by
name, and `catalogue` says of each setting where it is written and why it matters.
"""
