"""Clients of the servers: answers are parsed once, at this edge, into frozen dataclasses.

Every call has a timeout. Failures are `ClientError`s that name the server, what was
asked and what came back, and never a secret.
"""
