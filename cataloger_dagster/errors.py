"""The errors that people see: one small tree, told apart by who mends them.

A message names the fault, the offending value (never a secret) and the remedy. What the *model* does
wrong is not here: its mistakes are results it can read and mend.
"""


class CatalogerError(Exception):
    """Something a person can mend. The command line prints the message and exits with code 2."""


class ConfigurationError(CatalogerError):
    """A setting, a key of ``databases.yaml`` or a command-line value is wrong."""


class DatabaseError(CatalogerError):
    """A database can't be reached, opened or read, or its role must not be used."""


class SandboxError(CatalogerError):
    """The sandbox itself failed: no engine, no image, a runner that died. Never the fault of a cell's code."""


class ModelError(CatalogerError):
    """The model's server refused or failed for good: credentials, an unknown model, a long outage."""


class StoreError(CatalogerError):
    """The store can't be read or written: permissions, a full disk, a missing bucket."""


class ReportError(CatalogerError):
    """A page can't be read: not one of ours, cut short, changed by hand, or of a format this version lacks."""
