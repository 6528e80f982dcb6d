"""Which columns point to which table: the declared references, and those that names and values show.

Each is measured: how many rows point to nothing (orphans). An inferred one must hold for at least 80 % of its
rows. Whole numbers are included in other whole numbers by chance, so they need names that belong together, or a key
whose numbers lie far apart; texts may be found by their values alone. Empty tables neither refer nor are referred to.
References of several columns are ``composites``'.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from cataloger_sandbox.composites import composite_links
from cataloger_sandbox.engines.base import Field, ForeignKey, QueryFailed
from cataloger_sandbox.judging import Unjudged, judged
from cataloger_sandbox.links import HOLDS, measure_link
from cataloger_sandbox.names import is_identifier, key_stems, kinship, singular, stems, table_words, words
from cataloger_sandbox.survey import Link, Profile, Survey

KINDS = ("orphan_foreign_key",)
"""The kinds of findings that are missing where a reference is."""

SEARCH_SECONDS = 60.0
PAIRS = 5_000
VALUES = 5_000
"""Keys of at most so many rows are looked for by their values."""


SAME_NAME = 90
"""What two columns of one name come to, whatever their tables are called; see ``kinship``."""

BY_VALUES = 0.05
"""Of a reference that values alone show, at most this share of the rows may break it."""

LONG = 3
"""So long are codes on average of which another's hardly ever is one by chance, as it is of those of two letters."""

NUMBERS = 20
"""So many different numbers a key has at least that is found by them alone, half as many the column."""

SPARSE = 0.05
"""A key's numbers lie far apart where they are at most this share of those between the least and the greatest.

Numbers that were not taken from such a key are hardly ever among it.
"""


@dataclass(frozen=True)
class _Candidate:
    score: int
    source: Profile
    field: Field
    target: Profile
    key: Field


def find_references(survey: Survey, declared: Sequence[ForeignKey]) -> list[Link]:
    """Return the declared references between measured tables, then the inferred ones."""
    links = []
    for key in declared:
        source, target = survey.profiles.get(key.table), survey.profiles.get(key.to_table)
        if source is not None and target is not None:
            links.append(measure_link(survey, source, key.columns, target, key.to_columns, declared=True))
            if links[-1].orphans is None and source.rows is not None and target.rows is not None:
                survey.unjudged.append(Unjudged(KINDS, source.name, "its orphans could not be counted", key.columns))
    taken = {(link.source.name, tuple(link.columns)) for link in links}
    until = monotonic() + SEARCH_SECONDS
    links += _by_column(survey, taken, until)
    taken |= {(link.source.name, tuple(link.columns)) for link in links}
    links += judged(survey, None, KINDS, composite_links, survey, taken, links, until)
    return links


def _by_column(survey: Survey, taken: set[tuple[str, tuple[str, ...]]], until: float) -> list[Link]:
    """Find references of one column: by name first, then texts by their values."""
    tables = [item for item in survey.profiles.values() if item.relation.kind == "table" and item.rows]
    keys = _Keys(tables)
    known: dict[tuple[str, str], set[Any] | None] = {}
    bounds = _Bounds(until)
    links = []
    for source in tables:
        fields = [field for field in source.relation.fields if (source.name, (field.name,)) not in taken]
        links += judged(survey, source, KINDS, _of_table, survey, source, fields, keys, known, bounds)
    return links


@dataclass
class _Bounds:
    """How far the search may go, and how many pairs of columns it has measured."""

    until: float
    measured: int = 0

    def reached(self) -> str | None:
        """Say which bound is reached, if one is."""
        if monotonic() > self.until:
            return f"references were looked for in {SEARCH_SECONDS:g} s, and not to the end"
        return f"references were looked for in {PAIRS:,} pairs of columns" if self.measured > PAIRS else None


def _of_table(
    survey: Survey,
    source: Profile,
    fields: Sequence[Field],
    keys: "_Keys",
    known: dict[tuple[str, str], set[Any] | None],
    bounds: _Bounds,
) -> Iterator[Link]:
    """Yield the references of a table's columns, and note those that no bound leaves room for."""
    found: list[Link] = []
    doubtful: list[Link] = []
    for number, field in enumerate(fields):
        if reason := bounds.reached():
            left = [item.name for item in fields[number:]] if number else []
            survey.unjudged.append(Unjudged(KINDS, source.name, reason, left, cut=True))
            return
        best: Link | None = None
        for candidate in _candidates(survey, source, field, keys, known):
            bounds.measured += 1
            link = measure_link(
                survey,
                source,
                [field.name],
                candidate.target,
                [candidate.key.name],
                declared=False,
                by_name=candidate.score > 0,
            )
            if link.query is None:
                continue
            if not candidate.score and not _holds_by_values(link):
                doubtful.append(link)
                continue
            if best is None or (link.orphans or 0) < (best.orphans or 0):
                best = link
            if candidate.score >= 75 or link.orphans == 0:
                break  # the names say it, and it holds
        if best is not None:
            found.append(best)
            yield best
    for link in doubtful:
        if _has_sibling(link, found):
            found.append(link)
            yield link


def _has_sibling(link: Link, others: Sequence[Link]) -> bool:
    """Tell whether another column of the table refers to the same key, and codes are too long to be in it by chance.

    A flight's destination is among the airports as its origin is, though more of the destinations are wrong.
    """
    lengths = link.source.column(link.columns[0]).get("lengths") or {"mean": 0}
    if any(each.columns == link.columns for each in others):
        return False  # it refers elsewhere
    beside = any((each.target.name, each.to_columns) == (link.target.name, link.to_columns) for each in others)
    return beside and lengths["mean"] >= LONG and (link.target.rows or 0) >= NUMBERS


def _targets(table: Profile) -> list[Field]:
    """Return the columns of *table* that others may point to: its keys, and those broken by a few rows."""
    return [field for field in table.relation.fields if field.name in table.unique or field.name in table.broken]


class _Keys:
    """The keys that may be referred to, found by type and by the beginnings of the names that refer to them."""

    def __init__(self, tables: Sequence[Profile]) -> None:
        self.by_class: dict[str, list[tuple[Profile, Field]]] = {}
        self.sparse: list[tuple[float, float, Profile, Field]] = []  # least and greatest number first
        self._by_stem: dict[tuple[str, str], list[tuple[Profile, Field]]] = {}
        for table in tables:
            for field in _targets(table):
                kind = _class(table, field)
                if kind is None:
                    continue
                self.by_class.setdefault(kind, []).append((table, field))
                if kind == "integer" and (ends := _ends_of_sparse(table, field)):
                    self.sparse.append((*ends, table, field))
                for stem in key_stems(table.relation.name, field.name):
                    self._by_stem.setdefault((kind, stem), []).append((table, field))

    def akin(self, kind: str, source: Profile, field: Field) -> list[tuple[Profile, Field]]:
        """Return the keys that a column may point to by its name, those of its own table among them."""
        found = {(source.name, key.name): (source, key) for key in _targets(source) if _class(source, key) == kind}
        for stem in stems(field.name):
            for target, key in self._by_stem.get((kind, stem), ()):
                found[target.name, key.name] = (target, key)
        found.pop((source.name, field.name), None)
        return list(found.values())


def _candidates(
    survey: Survey, source: Profile, field: Field, keys: _Keys, known: dict[tuple[str, str], set[Any] | None]
) -> list[_Candidate]:
    """Return where a column may point to, the likeliest first."""
    column = source.columns[field.index]
    kind = _class(source, field)
    if kind is None or not column["distinct"] or not field.readable:
        return []
    named = []
    for target, key in keys.akin(kind, source, field):
        score = kinship(field.name, target.relation.name, key.name, same=source is target)
        if kind == "integer" and score <= SAME_NAME and not _names_a_thing(source, field, target, key):
            continue
        if not score or not _room(source, field, target, key) or (kind == "time" and score < 90):
            continue
        if field.name in source.unique and not _narrower(source, field, target, key):
            continue  # both identify: the smaller set points to the larger
        named.append(_Candidate(score, source, field, target, key))
    valued = []
    akin = {(item.target.name, item.key.name) for item in named}
    if kind == "text" and _may_be_found_by_values(source, field):
        for target, key in keys.by_class.get("text", ()):
            if key is field or (target.name, key.name) in akin or not _room(source, field, target, key):
                continue
            if _shares_values(survey, column, target, key, known):
                valued.append(_Candidate(0, source, field, target, key))
    if kind == "integer" and not named and field.name not in source.unique:
        places = [(target, key) for low, high, target, key in keys.sparse if _spans(column, low, high)]
        valued = [
            _Candidate(0, source, field, *place)
            for place in places
            if place[1] is not field and _room(source, field, *place)
        ]
    if kind == "uuid" and not named and field.name not in source.unique:
        # Two of them are never equal by chance.
        places = [place for place in keys.by_class.get("uuid", ()) if place[1] is not field]
        valued = [_Candidate(0, source, field, *place) for place in places[:20]]
    named.sort(key=lambda item: (-item.score, item.target.rows or 0))
    valued.sort(key=lambda item: (item.key.index, item.target.rows or 0))
    return [*named[:4], *valued[:3]]


def _holds_by_values(link: Link) -> bool:
    return (link.orphans or 0) <= max(1, BY_VALUES * (link.filled or 0))


def _names_a_thing(source: Profile, field: Field, target: Profile, key: Field) -> bool:
    """Tell whether whole numbers may refer by a name that both columns have: not where it is any column's or a time's.

    ``customer_no`` may; ``time``, ``year`` and the ``column0`` of a file without a header may not.
    """
    if is_identifier(field.name, source.relation.name) or is_identifier(key.name, target.relation.name):
        return True
    return bool(set(table_words(target.relation.name)) & {singular(word) for word in words(field.name)})


def _ends_of_sparse(table: Profile, field: Field) -> tuple[float, float] | None:
    """Return the least and the greatest number of a key whose numbers lie far apart; null for another."""
    column, bulk = table.columns[field.index], _bulk(table.columns[field.index])
    if bulk is None or (column["distinct"] or 0) < NUMBERS:
        return None
    far = column["distinct"] / 2 <= SPARSE * (bulk[1] - bulk[0] + 1)  # a broken key may have a far value or two
    return (float(str(column["min"])), float(str(column["max"]))) if far else None


def _spans(column: dict[str, Any], low: float, high: float) -> bool:
    """Tell whether the bulk of a column's numbers, which are many enough, lies from *low* to *high*."""
    bulk = _bulk(column)
    return column["distinct"] >= NUMBERS / 2 and bulk is not None and low <= bulk[0] < bulk[1] <= high


def _bulk(column: dict[str, Any]) -> tuple[float, float] | None:
    """Return the quartiles between which half of a column's numbers lie, as far as they were measured."""
    quantiles = column.get("quantiles") or {}
    if quantiles.get("0.25") is None or quantiles.get("0.75") is None:
        return None
    return float(str(quantiles["0.25"])), float(str(quantiles["0.75"]))


def _room(source: Profile, field: Field, target: Profile, key: Field) -> bool:
    """Tell whether a key has values enough: each of a column's beyond them is an orphan at least."""
    column = source.columns[field.index]
    filled = (source.rows or 0) - (column["nulls"] or 0)
    beyond = column["distinct"] - (target.columns[key.index]["distinct"] or target.rows or 0)
    return bool(beyond <= (1 - HOLDS + (column["distinct_error"] or 0)) * filled)


def _may_be_found_by_values(source: Profile, field: Field) -> bool:
    """Tell whether a text column's values are many and long enough not to be among a key's by chance."""
    column = source.columns[field.index]
    lengths = column.get("lengths")
    if not column.get("top") or not lengths or field.name in source.unique:
        return False
    # Codes of two letters are among others by chance, unless many different ones are.
    return bool(column["distinct"] >= 3 and lengths["mean"] >= (2.5 if column["distinct"] < 8 else 2))


def _narrower(source: Profile, field: Field, target: Profile, key: Field) -> bool:
    mine, theirs = source.columns[field.index]["distinct"], target.columns[key.index]["distinct"]
    if mine != theirs:
        return bool(mine < theirs)
    same = source is target
    back = kinship(key.name, source.relation.name, field.name, same=same)
    forth = kinship(field.name, target.relation.name, key.name, same=same)
    return forth > back


def _class(profile: Profile, field: Field) -> str | None:
    """Return the group of types within which values of a column can be compared; null if it never refers."""
    kind = profile.kinds[field.name]
    if kind == "number":
        whole = field.integer or profile.facts.get(f"c{field.index}_last") == "integer"
        return "integer" if whole else None
    if kind == "text":
        return "text"
    if kind == "time" and field.base:
        return "time" if field.base.lower() == "date" else None
    return field.base.lower() if kind == "other" and field.base.lower() == "uuid" else None


def _shares_values(
    survey: Survey,
    column: dict[str, Any],
    target: Profile,
    key: Field,
    known: dict[tuple[str, str], set[Any] | None],
) -> bool:
    """Tell whether a text column's most frequent values are among a key's, so that measuring all is worth it."""
    if not target.values or (key.index != 0 and [key.name] not in target.keys):
        return False
    top = column["top"]
    place = (target.name, key.name)
    if place not in known:
        known[place] = None
        if (target.rows or 0) <= VALUES:
            sql = f"SELECT {survey.engine.quote(key.name)} FROM {survey.engine.path(target.relation)}"
            try:
                known[place] = {row[0] for row in survey.journal.try_out(sql).rows}
            except QueryFailed:
                known[place] = None
    values = known[place]
    if not values:
        return False
    found = sum(int(count) for value, count in top if value in values)
    return found >= HOLDS * sum(int(count) for _, count in top)
