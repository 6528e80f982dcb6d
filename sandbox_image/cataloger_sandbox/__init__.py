"""What runs inside a sandbox: the runner that executes cells and the kit that measures a database.

Nothing here imports the host's package; the version must equal the host's, and the host checks it.
"""

__version__ = "0.1.0"
