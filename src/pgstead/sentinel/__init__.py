"""The sentinel: it fences a leader whose machine is dead or frozen, faster than its lease ends.

`observation` says what can be seen, `evidence` what several looks prove, `decision` (pure) what
is to be done about it, step by step; `looking` and `acting` are the I/O on either side, and
`watching` is the loop. Nothing here is needed for safety: without it, Patroni waits for the
lease. All that it adds is the proof that the old leader is off.
"""
