"""The kit's errors for people."""


class DatabaseProblem(Exception):
    """A database can't be opened or read; the message names the fault, the place (never a secret) and the remedy."""
