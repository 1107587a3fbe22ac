"""A member of a Patroni cluster: PostgreSQL, and Patroni in charge of it."""
