"""Draws of the shapes that real columns have: skewed amounts, seasonal times, long tails, counts full of zeros."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

_HOURS = np.array([1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 9, 8, 9, 10, 9, 9, 10, 11, 12, 11, 8, 5, 2], dtype=float)


def lognormal(rng: np.random.Generator, n: int, median: float, sigma: float, digits: int = 2) -> np.ndarray:
    """Return skewed amounts."""
    return np.round(median * np.exp(rng.normal(0, sigma, n)), digits)


def pareto(rng: np.random.Generator, n: int, low: float, alpha: float) -> np.ndarray:
    """Return whole numbers of a long tail: the greatest of 20,000 is hundreds of times the median."""
    return np.floor(low * (1 - rng.random(n)) ** (-1 / alpha)).astype(np.int64)


def counts(rng: np.random.Generator, n: int, zeros: float, mean: float) -> np.ndarray:
    """Return counts of which a share of *zeros* are zero."""
    return np.where(rng.random(n) < zeros, 0, 1 + rng.geometric(1 / mean, n))


def times(rng: np.random.Generator, n: int, end: datetime, days: int, seasonal: bool = True) -> list[datetime]:
    """Return times up to *end* in order, by the hours, weekdays and seasons of people (or by none of them)."""
    if not seasonal:
        return [
            end - timedelta(seconds=int(s)) for s in sorted(rng.integers(0, days * 86400, n).tolist(), reverse=True)
        ]
    day = np.arange(days)
    weekly = np.array([1.0, 1.05, 1.0, 1.0, 1.15, 0.8, 0.6])[day % 7]
    weights = weekly * (1 + 0.4 * np.sin(2 * np.pi * day / 365)) * (1 + 0.5 * day / days)
    chosen = rng.choice(days, n, p=weights / weights.sum())
    hours = rng.choice(24, n, p=_HOURS / _HOURS.sum())
    seconds = chosen * 86400 + hours * 3600 + rng.integers(0, 3600, n)
    start = end.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    drawn = sorted(start + timedelta(seconds=int(s)) for s in seconds.tolist())
    return [min(each, end - timedelta(seconds=n - row)) for row, each in enumerate(drawn)]


def dates(rng: np.random.Generator, n: int, first: date, last: date) -> list[date]:
    """Return days between two, evenly."""
    return [first + timedelta(days=int(d)) for d in rng.integers(0, (last - first).days + 1, n).tolist()]


def after(
    rng: np.random.Generator, moments: Sequence[Any], unit: timedelta, mean: float, least: float = 0.0
) -> list[Any]:
    """Return a later moment for each (null stays null)."""
    return [
        None if moment is None else moment + unit * float(round(least + gap, 3))
        for moment, gap in zip(moments, rng.exponential(mean, len(moments)).tolist(), strict=True)
    ]


def between(rng: np.random.Generator, moments: Sequence[Any], end: Any, hours: float | None = None) -> list[Any]:
    """Return a moment between each and *end* (or the *hours* after it), whole seconds or days."""
    made = []
    for moment, share in zip(moments, rng.random(len(moments)).tolist(), strict=True):
        span = end - moment if hours is None else min(end - moment, timedelta(hours=hours))
        made.append(moment + timedelta(seconds=int(share * span.total_seconds())))
    return made


def optional(rng: np.random.Generator, values: Sequence[Any], empty: float) -> list[Any]:
    """Return the values with a share of nulls, evenly."""
    return [
        None if gone else value for value, gone in zip(values, (rng.random(len(values)) < empty).tolist(), strict=True)
    ]


def weighted(rng: np.random.Generator, n: int, **shares: float) -> list[str]:
    """Return the words by their shares."""
    words, weights = list(shares), np.array(list(shares.values()))
    return [words[i] for i in rng.choice(len(words), n, p=weights / weights.sum()).tolist()]
