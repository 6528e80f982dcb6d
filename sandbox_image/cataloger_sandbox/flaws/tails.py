"""How improbable a count is: bounds on the tails of the binomial and Poisson distributions. No SQL here.

Chernoff bounds in the form of W. Hoeffding, Probability inequalities for sums of bounded random variables, JASA 58,
1963: never too small, and cheap. What is asked of many columns is corrected for their number (Bonferroni).
"""

import math

ALPHA = 0.001
"""The chance of one false finding among all columns of a database that a kind of finding takes, where its rule's
assumptions hold."""


def binomial_tail(seen: float, of: float, share: float) -> float:
    """Return at most how probable it is that *seen* or more *of* so many come up, each with probability *share*."""
    if of <= 0 or seen <= of * share:
        return 1.0
    if share <= 0:
        return 0.0
    x = min(1.0, seen / of)
    surprise = x * math.log(x / share) + ((1 - x) * math.log((1 - x) / (1 - share)) if x < 1 and share < 1 else 0.0)
    return math.exp(-of * surprise)


def poisson_tail(seen: float, expected: float) -> float:
    """Return at most how probable it is that *seen* or more come up where *expected* do on average."""
    if seen <= expected:
        return 1.0
    if expected <= 0:
        return 0.0
    return math.exp(seen - expected - seen * math.log(seen / expected))
