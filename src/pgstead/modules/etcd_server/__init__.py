"""A member of an etcd cluster."""
