"""How names stand in a sentence: lists of them, verbs that agree, what the database itself says of a thing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from cataloger_sandbox.elements import code
from cataloger_sandbox.numerals import numerals

NAMES = 6
"""How many names a sentence lists before it says *others*."""


def comment(raw: Mapping[str, Any]) -> str:
    """Return the comment that the database keeps, if it is short and without a number nobody measured."""
    text = re.sub(r"\s+", " ", raw.get("comment") or "").strip()
    if not text or len(text) > 300 or any(numerals(text)):
        return ""
    return escape(text if text[-1] in ".!?" else f"{text}.")


def listed(parts: Sequence[str], most: int = NAMES) -> str:
    """Return *parts*, each once, as ``a, b and c``; of more than *most* the last are *others*."""
    shown = list(dict.fromkeys(parts))
    if len(shown) > most:
        return f"{', '.join(shown[: most - 1])} and others"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def names(items: Iterable[str], most: int = NAMES) -> str:
    """Return names, the *items*, as ``listed`` does, each as code."""
    return listed([code(name) for name in items], most)


def led_by(ends: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the tables at the other end of references, each with the columns that lead there."""
    return [f"{code(name)} (by {listed(columns)})" for name, columns in ends.items()]


def verb_s(subjects: Iterable[str]) -> str:
    """Return the ending of a verb that has *subjects*."""
    return "s" if len(set(subjects)) == 1 else ""
