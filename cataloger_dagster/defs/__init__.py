"""Dagster, and nothing else: partitions, resources, the IO manager, assets, checks, sensor and schedule.

What is computed is in ``cataloging`` and below. No module here uses ``from __future__ import annotations``:
Dagster reads the annotations of contexts and configs.
"""
