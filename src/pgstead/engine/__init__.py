"""The plan, its application, and what is remembered of both."""
