"""The form of a text: which kinds of characters in which order; and the SQL by which two forms are told apart.

The SQL is made of what every engine reads alike: ``replace``, ``upper``, ``lower``, ``trim``, ``length``.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from cataloger_sandbox.engines.base import literal
from cataloger_sandbox.flaws.look import Column, is_one_of

LISTED = 200
"""So many values a condition may name one by one."""


ALIKE = 0.8
"""So large a share of codes is like one that is a code as they are."""


class _Classes(dict[int, str]):
    """Each character by its kind: 9 a digit, A a capital, a another letter; others stand for themselves."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character.isdigit():
            kind = "9"
        elif character.isalpha():
            kind = "A" if character.isupper() else "a"
        else:
            kind = character
        self[code] = kind
        return kind


@cache
def _classes() -> _Classes:
    return _Classes()


def shape(text: str) -> str:
    """Return the form of *text*, runs of letters or digits as one: ``AB-1234`` is ``A-9``."""
    return _with_runs_as_one(text.translate(_classes()))


def _with_runs_as_one(form: str) -> str:
    # Each value of each text column comes here: this is several times as fast as a pattern.
    for run in ("AA", "aa", "99"):
        while run in form:
            form = form.replace(run, run[0])
    return form


def style(text: str) -> tuple[bool, bool, bool]:
    """Return whether a text is all in capitals, all in small letters, and has a digit."""
    return text.isupper(), text.islower(), any(character.isdigit() for character in text)


def is_code_among(value: str, others: Iterable[str]) -> bool:
    """Tell whether nearly all *others* are codes of the same length and case, as NIL and BAR are among airports."""
    alike = [
        (len(each), each.isupper(), each.islower()) == (len(value), value.isupper(), value.islower()) for each in others
    ]
    return sum(alike) >= ALIKE * len(alike)


def skeleton(form: str) -> str:
    """Return a form without what separates, in capitals: ``a-9`` and ``A9`` are the same then."""
    return _with_runs_as_one(re.sub(r"[^A9]", "", form.upper()))


def separators(form: str) -> str:
    """Return what a form has beside letters and digits, each once, doubled where it comes so."""
    return "".join(sorted({run[0] for run in re.finditer(r"([^Aa9])\1*", form)}))


def length(text: str) -> int:
    """Return how many letters and digits *text* has."""
    return sum(character.isalnum() for character in text)


@dataclass(frozen=True)
class _Test:
    sql: str
    holds: Callable[[str], bool]


def telling(column: Column, these: Sequence[str], others: Sequence[str]) -> str | None:
    """Return the condition that holds for the values *these* of *column* and for none of the *others*; or null."""
    if column.quotable and len(these) <= 3:
        return is_one_of(column, these)
    tests = list(_tests(column.sql, these, others))
    for test in tests:
        if all(map(test.holds, these)) and not any(map(test.holds, others)):
            return f"{column.sql} IS NOT NULL AND {test.sql}" if " <> " in test.sql else test.sql
    clean = [test for test in tests if not any(map(test.holds, others))]
    left, chosen = list(these), []
    while left and clean:
        best = max(clean, key=lambda test: sum(map(test.holds, left)))
        if not any(map(best.holds, left)):
            break
        chosen.append(best.sql)
        left = [text for text in left if not best.holds(text)]
    if not left:
        return f"({' OR '.join(chosen)})"
    return is_one_of(column, these) if column.quotable and len(these) <= LISTED else None


def _tests(sql: str, these: Iterable[str], others: Iterable[str]) -> Iterable[_Test]:
    characters = sorted({character for text in [*list(these)[:500], *list(others)[:500]] for character in text})
    for character in characters:
        if not character.isalnum() and character.isprintable():
            without = f"replace({sql}, {literal(character)}, '')"
            yield _Test(f"{without} <> {sql}", lambda text, c=character: c in text)  # type: ignore[misc]
            yield _Test(f"{without} = {sql}", lambda text, c=character: c not in text)  # type: ignore[misc]
    # Of letters beyond ASCII engines think differently.
    yield _Test(f"upper({sql}) <> {sql}", lambda text: text.upper() != text)
    yield _Test(f"lower({sql}) <> {sql}", lambda text: text.lower() != text)
    yield _Test(f"upper({sql}) = {sql}", lambda text: text.upper() == text)
    yield _Test(f"lower({sql}) = {sql}", lambda text: text.lower() == text)
    sizes = {len(text) for text in these}
    yield _Test(f"length({sql}) >= {min(sizes)}", lambda text: len(text) >= min(sizes))
    yield _Test(f"length({sql}) <= {max(sizes)}", lambda text: len(text) <= max(sizes))
    if len(sizes) == 1:
        yield _Test(f"length({sql}) = {min(sizes)}", lambda text: len(text) == min(sizes))
