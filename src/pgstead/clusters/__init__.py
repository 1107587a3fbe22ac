"""What machines form together: etcd clusters, Patroni clusters, and PostgreSQL's own content.

A platform makes machines; this package adds what their memberships need: a place in the
cluster before they start, a switchover before they stop, never below quorum.
"""
