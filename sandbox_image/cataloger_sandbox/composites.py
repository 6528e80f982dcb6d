"""References of several columns, to composite keys: their parts under the same names, or under names that say the same.

A part under another name must have a telling word in common with the key's (``line`` and ``line_no``), or refer to the
same as it does by itself (``ord_nr`` and ``order_id``, both to the orders). That both are small numbers is no reason.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from time import monotonic

from cataloger_sandbox.engines.base import Field
from cataloger_sandbox.judging import Unjudged
from cataloger_sandbox.links import measure_link
from cataloger_sandbox.names import GENERIC, singular, words
from cataloger_sandbox.survey import Link, Profile, Survey

WAYS = 4
"""So many ways to write a key in one table's columns are measured."""


def composite_links(
    survey: Survey, taken: set[tuple[str, tuple[str, ...]]], single: Sequence[Link], until: float
) -> list[Link]:
    """Return the references to composite keys, given those of *single* columns, but for the pairs in *taken*."""
    tables = [item for item in survey.profiles.values() if item.relation.kind == "table" and item.rows]
    place = {(link.source.name, link.columns[0]): link for link in single if len(link.columns) == 1}
    links = []
    for target in tables:
        for key in target.keys:
            if len(key) < 2:
                continue
            for source in tables:
                if source is target:
                    continue
                for columns in _written(source, target, key, place):
                    own = [sorted(other) for other in source.keys]
                    if (source.name, tuple(columns)) in taken or sorted(columns) in own:
                        continue
                    if monotonic() > until:
                        reason = f"there was no time left to see whether they refer to {target.name} together"
                        survey.unjudged.append(Unjudged(["orphan_foreign_key"], source.name, reason, columns, cut=True))
                        continue
                    link = measure_link(survey, source, columns, target, list(key), declared=False)
                    if link.query is not None:
                        links.append(link)
                        break
    return links


def _written(
    source: Profile, target: Profile, key: Sequence[str], place: dict[tuple[str, str], Link]
) -> Iterator[list[str]]:
    """Yield the columns of *source* that may hold *key* of *target*, part by part, the likeliest first."""
    theirs = {field.name: field for field in target.relation.fields}
    parts = [_parts(source, target, theirs[name], place) for name in key]
    if not all(parts):
        return
    for number, chosen in enumerate(product(*parts)):
        if number >= WAYS:
            return
        if len(set(chosen)) == len(chosen):
            yield list(chosen)


def _parts(source: Profile, target: Profile, part: Field, place: dict[tuple[str, str], Link]) -> list[str]:
    """Return the columns of *source* that may be *part* of a key of *target*: the one of its name, else those akin."""
    alike = [field for field in source.relation.fields if _comparable(source, field, target, part)]
    same = [field.name for field in alike if field.name == part.name]
    if same:
        return same
    return [field.name for field in alike if _means(source, field, target, part, place)][:2]


def _comparable(source: Profile, field: Field, target: Profile, part: Field) -> bool:
    return source.kinds[field.name] == target.kinds[part.name] and field.base == part.base


def _means(source: Profile, field: Field, target: Profile, part: Field, place: dict[tuple[str, str], Link]) -> bool:
    mine, its = place.get((source.name, field.name)), place.get((target.name, part.name))
    if mine is not None and its is not None:
        return mine.target is its.target and mine.to_columns == its.to_columns
    return mine is None and bool(_telling(field.name) & _telling(part.name))


def _telling(name: str) -> set[str]:
    return {singular(word) for word in words(name) if word not in GENERIC and len(word) > 2}
