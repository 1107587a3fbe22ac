"""A PostgreSQL server on its own."""
