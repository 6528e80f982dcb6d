"""The three databases that are measured, each behind the same small protocol (``base``).

A dialect's SQL stands in its own module and nowhere else.
"""
