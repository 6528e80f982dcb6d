"""Categories that are one under several spellings, or a slip of the pen."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from cataloger_sandbox.flaws.look import Column, Look, Suspect, is_one_of
from cataloger_sandbox.flaws.phrases import counted, listed, verb
from cataloger_sandbox.flaws.shapes import LISTED, is_code_among, telling

LEAST = 50
"""Of fewer values nothing is said."""

MINOR = 0.34
"""A spelling that comes at most so often as the usual one is a variant of it: more balanced, both are meant."""

RARE, OFTEN = 0.5, 0.2
"""A value within a typing error of another is rare against it up to this share of its count: one of a few rows, or of
more. People mistype one word in a hundred or so, not every third."""

PROSE = 60
"""Texts of more characters on average are prose."""

FEW = 40
"""Among so few words two that are a typing error apart are no chance."""

LETTERS = 10
"""In a vocabulary of more values a single letter is a symbol, and its case tells it from another."""

_JUNK = re.compile(
    r"test\w*|asdf\w*|qwert\w*|foo|bar|foobar|dummy|zzz+|xxx+|te?mp|lorem.*|sample|abc|todo", re.IGNORECASE
)

VOCABULARY = 1_000
"""Columns of more different values are no vocabulary whose words could be mistyped."""

SMALL = 20
BELOW = 40.0
"""How many times rarer than the rarest of the others a value of a small vocabulary is that does not belong."""


def spelling_variants(look: Look) -> Iterator[Suspect]:
    """Yield the columns in which one value is written in several ways: case, outer spaces, accents."""
    for column in look.of_kind("text"):
        if column.filled < LEAST:
            continue
        usual, variants = _variants(column.free)
        spaced = _spaced(column)
        every = sorted({*variants, *spaced})
        if not every or sum(column.counts[value] for value in every) > 0.3 * column.filled:
            continue
        where = _where(column, variants, spaced)
        if where is None:
            continue
        column.take(every)
        yield Suspect(
            "case_or_space_variant", [column.name], "low", where, _say_variants(look, column, usual, every), most=0.4
        )


def _variants(counts: Mapping[str, int]) -> tuple[dict[str, str], list[str]]:
    """Return the usual spelling of each variant, and the variants."""
    groups: dict[str, list[str]] = {}
    for value in counts:
        groups.setdefault(_folded(value), []).append(value)
    usual: dict[str, str] = {}
    for values in groups.values():
        if len(values) < 2:
            continue
        main = max(values, key=lambda value: (counts[value], value))
        if len(counts) > LETTERS and all(len(value.strip()) == 1 for value in values):
            continue  # symbols of many, such as s and S
        # A chance meeting of codes in which case tells things apart comes once; what is usual comes often.
        if counts[main] < 3:
            continue
        usual |= {value: main for value in values if value != main and counts[value] <= MINOR * counts[main]}
    return usual, list(usual)


def _folded(value: str) -> str:
    if value.isascii():
        return " ".join(value.casefold().split())
    plain = unicodedata.normalize("NFKD", value)
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def _spaced(column: Column) -> list[str]:
    """Return the values with outer spaces, where few have them; in prose they mean nothing."""
    if (column.profile.get("lengths") or {"mean": 0})["mean"] > PROSE:
        return []
    found = [value for value in column.free if value != value.strip() and value.strip()]
    return found if sum(column.counts[value] for value in found) <= 0.15 * column.filled else []


def _where(column: Column, variants: Sequence[str], spaced: Sequence[str]) -> str | None:
    outside = [value for value in variants if value == value.strip()]
    parts = []
    if spaced:
        if all(value.strip(" ") == value.strip() for value in spaced):
            parts.append(f"trim({column.sql}) <> {column.sql}")
        else:
            outside = [*dict.fromkeys([*outside, *spaced])]
    if outside:
        told = {*outside, *spaced}
        others = [value for value in column.counts if value not in told]
        listed_values = is_one_of(column, outside) if column.quotable and len(outside) <= LISTED else None
        condition = listed_values or telling(column, outside, others)
        if condition is None:
            return None
        parts.append(condition)
    return f"({' OR '.join(parts)})" if len(parts) > 1 else parts[0]


def _say_variants(look: Look, column: Column, usual: Mapping[str, str], every: Sequence[str]) -> Callable[[int], str]:
    pairs = sorted(usual.items(), key=lambda pair: -column.counts[pair[0]])[:2]
    examples = [f"{listed(column, [variant])} for {listed(column, [main])}" for variant, main in pairs]
    such = f", such as {' and '.join(examples)}" if examples and column.quotable else ""
    what = "differ only in case, outer spaces or accents from a more frequent value" if usual else "have outer spaces"
    return lambda rows: (
        f"{len(every):,} {'value' if len(every) == 1 else 'values'} of {column.name} in {counted(rows, look)} of "
        f"{look.profile.name} {what}{such}."
    )


def rare_categories(look: Look) -> Iterator[Suspect]:
    """Yield the vocabularies with a value that is a typing error away from a frequent one, or far below all others."""
    for column in look.of_kind("text"):
        counts = column.free
        if not column.quotable:
            continue  # persons' names are a letter apart by nature
        if column.filled < LEAST or not 3 <= len(counts) <= VOCABULARY or len(counts) > 0.2 * column.filled:
            continue
        junk = [value for value in counts if _JUNK.fullmatch(value.strip())]
        if junk and _is_stray(counts, junk):
            column.take(junk)
            where, say = is_one_of(column, junk), _say_junk(look, column, junk)
            yield Suspect("rare_category", [column.name], "low", where, say, detail="junk", most=0.15)
            counts = column.free
        typos = _typos(counts)
        if typos:
            column.take(typos)
            yield Suspect(
                "rare_category",
                [column.name],
                "low",
                is_one_of(column, typos),
                _say_typos(look, column, typos),
                most=0.3,
            )
            continue
        if odd := _far_below(counts):
            column.take([odd])
            yield Suspect(
                "rare_category", [column.name], "info", is_one_of(column, [odd]), _say_odd(look, column, odd), most=0.01
            )


def _is_stray(counts: Mapping[str, int], junk: Sequence[str]) -> bool:
    """Tell whether words are no part of a vocabulary: few of many, or rarer than each of the others."""
    others = {value: count for value, count in counts.items() if value not in junk}
    most = max(counts[value] for value in junk)
    if all(is_code_among(value, others) for value in junk):
        return False
    return len(junk) < 0.2 * len(counts) or (len(others) > len(junk) and most <= RARE * min(others.values()))


def _typos(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the values that are typing errors of frequent ones, with what is meant.

    In a large vocabulary there are words as close as that by nature: there an error must also be rarer than any of
    the words that make up nearly all of the rows.
    """
    words = sorted((value for value in counts if _is_word(value)), key=lambda value: -counts[value])
    near = _neighbours(words)
    found: dict[str, str] = {}
    balanced = 0
    for value in words:
        close = [other for other in near.get(value, ()) if other not in found and _is_close(value, other)]
        meant = [other for other in close if _is_slip(counts[value], counts[other])]
        if meant:
            found[value] = max(meant, key=lambda other: counts[other])
        else:
            balanced += any(counts[value] <= counts[other] for other in close)
    others = np.array(sorted((n for value, n in counts.items() if value not in found), reverse=True), dtype=float)
    usual = others[: int(np.searchsorted(np.cumsum(others), 0.95 * others.sum())) + 1]
    if balanced > 0.1 * len(usual):
        return {}  # the usual words are that close to each other
    if len(usual) > FEW:
        found = {value: meant for value, meant in found.items() if counts[value] <= 0.5 * usual[-1]}
    return found if sum(counts[value] for value in found) <= 0.2 * sum(counts.values()) else {}


def _is_slip(count: int, usual: int) -> bool:
    """Tell whether one word comes so rarely against another that it may be a slip: fewer than one in five is."""
    return usual >= 5 and count <= (RARE if count <= 5 else OFTEN) * usual


def _neighbours(words: Sequence[str]) -> dict[str, set[str]]:
    """Return which of *words* may be close to which: those that are alike with a letter or two left out.

    Another sign or number is no typing error: ``master+`` is more than ``master``.
    """
    keys: dict[tuple[str, ...], list[str]] = {}
    for value in words:
        alike = (*_signs(value), *re.findall(r"\S*\d\S*", value))
        for key in _deletions(value):
            keys.setdefault((key, *alike), []).append(value)
    near: dict[str, set[str]] = {}
    for values in keys.values():
        if 1 < len(values) <= 50:
            for value in values:
                near.setdefault(value, set()).update(other for other in values if other != value)
    return near


def _is_close(value: str, other: str) -> bool:
    """Tell whether one may be a typing error of the other, if they have the same signs and numbers.

    Hardly any is in the first letter (J. Pollock, A. Zamora, Automatic spelling correction in scientific and
    scholarly text, CACM 27, 1984), in which many pairs of real words differ.
    """
    first, second = value.casefold(), other.casefold()
    allowed = 2 if min(len(value), len(other)) >= 8 else 1
    begins = first[0] == second[0] or first[:2] == second[1::-1]
    if not begins or first == second:
        return False
    words, others = first.split(), second.split()
    if len(words) == len(others):  # a short word in the place of another is no slip
        unlike = [(a, b) for a, b in zip(words, others, strict=True) if a != b]
        # A Fund that lost a letter is a slip.
        if len(words) > 1 and any(max(len(a), len(b)) < 4 for a, b in unlike):
            return False
        if any(_distance(a, b) > (2 if min(len(a), len(b)) >= 8 else 1) for a, b in unlike):
            return False  # Korea, North is not South
    return _distance(first, second) <= allowed


def _signs(value: str) -> list[str]:
    return sorted(character for character in value if character in "+*#<>=%&@")


def _is_word(value: str) -> bool:
    """Tell whether a value is made of words; numbers and codes may stand between them, as in ``Airbus A321``."""
    # The gaps between words are no part of them, or Power & Water would be none.
    plain = "".join(part for part in value.split() if not any(character.isdigit() for character in part))
    letters = sum(character.isalpha() for character in plain)
    return letters >= 4 and letters >= 0.8 * len(plain) and len(value) <= 40


def _deletions(value: str) -> set[str]:
    """Return a word with none, one or two letters left out: two words within that distance have one in common."""
    word = value.casefold()
    once = {word[:i] + word[i + 1 :] for i in range(len(word))}
    if len(word) < 8 or len(word) > 25:
        return {word, *once}
    return {word, *once, *(each[:i] + each[i + 1 :] for each in once for i in range(len(each)))}


def _distance(first: str, second: str) -> int:
    """Return the Damerau-Levenshtein distance (optimal string alignment)."""
    rows = np.zeros((len(first) + 1, len(second) + 1), dtype=int)
    rows[:, 0], rows[0, :] = range(len(first) + 1), range(len(second) + 1)
    for i, a in enumerate(first, start=1):
        for j, b in enumerate(second, start=1):
            best = min(rows[i - 1, j] + 1, rows[i, j - 1] + 1, rows[i - 1, j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                best = min(best, rows[i - 2, j - 2] + 1)
            rows[i, j] = best
    return int(rows[-1, -1])


def _far_below(counts: Mapping[str, int]) -> str | None:
    """Return the value that comes far less often than all others of a small vocabulary."""
    if not 4 <= len(counts) <= SMALL:
        return None
    ordered = sorted(counts.items(), key=lambda item: item[1])
    numbers = np.array([count for _, count in ordered], dtype=float)
    steps = numbers[1:] / numbers[:-1]
    # Where each is a good deal rarer than the next, another is nothing new.
    if steps[0] < BELOW or steps[0] < 8 * steps[1:].max() or numbers[0] > 0.002 * numbers.sum():
        return None
    return ordered[0][0]


def _say_typos(look: Look, column: Column, typos: Mapping[str, str]) -> Callable[[int], str]:
    pairs = sorted(typos.items(), key=lambda pair: -column.counts[pair[0]])[:3]
    examples = " and ".join(f"{listed(column, [value])} for {listed(column, [meant])}" for value, meant in pairs)
    return lambda rows: (
        f"{len(typos):,} rare {'value' if len(typos) == 1 else 'values'} of {column.name} in {counted(rows, look)} of "
        f"{look.profile.name} {verb(len(typos), 'is', 'are')} a typing error away from a frequent one: {examples}."
    )


def _say_junk(look: Look, column: Column, junk: Sequence[str]) -> Callable[[int], str]:
    return lambda rows: (
        f"{counted(rows, look)} of {look.profile.name} {verb(rows, 'has', 'have')} {listed(column, junk)} in "
        f"{column.name}: a word that people type to try something out."
    )


def _say_odd(look: Look, column: Column, odd: str) -> Callable[[int], str]:
    others = sorted((count for value, count in column.counts.items() if value != odd))
    return lambda rows: (
        f"{listed(column, [odd])} comes in {counted(rows, look)} of {look.profile.name}, "
        f"every other {column.name} at least {'' if look.whole else 'about '}"
        f"{round(others[0] / max(look.share, 1e-9)):,} times."
    )
