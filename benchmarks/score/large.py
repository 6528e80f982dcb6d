"""One table of so many rows that a page estimates some of its numbers; nothing is planted in it."""

from datetime import datetime, timedelta

import numpy as np

from benchmarks.score.tables import Column, Table, World

LEAST = 1_100_000
"""Of fewer rows everything is counted exactly, and no estimate would be graded."""


def large(seed: int, rows: int, now: datetime) -> World:
    """Return a table of measured values, times, codes and nulls, skewed and with ties as they are in tables."""
    rng = np.random.default_rng([seed, rows])
    amount = np.round(rng.lognormal(3, 1.2, rows), 2)
    score = np.round(rng.normal(50, 12, rows), 4)
    customer = rng.zipf(1.3, rows) % 400_000
    seconds = np.sort(rng.integers(0, 3 * 365 * 86_400, rows))[::-1]
    token = rng.integers(0, 2**40, rows)
    quantity = rng.geometric(0.02, rows)
    missing = rng.random(rows) < 0.3
    columns = [
        Column("event_no", "bigint", list(range(1, rows + 1))),
        Column("customer_id", "integer", customer.tolist()),
        Column("amount", "decimal(12,2)", amount.tolist()),
        Column("score", "double", score.tolist()),
        Column("placed_at", "timestamp", [now - timedelta(seconds=int(before)) for before in seconds]),
        Column("token", "varchar", [f"{each:010x}" for each in token.tolist()]),
        Column("quantity", "integer", [None if no else n for no, n in zip(missing, quantity.tolist(), strict=True)]),
    ]
    return World({"events": Table("events", {column.name: column for column in columns}, key=("event_no",))})
