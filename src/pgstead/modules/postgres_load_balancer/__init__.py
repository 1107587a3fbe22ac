"""A load balancer in front of a Patroni cluster."""
