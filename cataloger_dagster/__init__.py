"""Cataloger: a readable, trustworthy, always fresh catalog of every database a team has.

This module holds the version alone; what the package offers is in its modules, floor by floor.
"""

__version__ = "0.1.0"
