"""The facts of a database: every table and view, every column, measured by our own code before any agent starts.

The entry is ``measure``. SQL is made in ``engines``; ``keys``, ``references`` and ``dependencies`` find what their
names say, ``semantics`` what the values are, ``flaws`` what is wrong. One failing table or column is listed with the
reason and never fails the whole.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from threading import BoundedSemaphore
from typing import Any

from cataloger_sandbox.connections import Connections
from cataloger_sandbox.dependencies import find_dependencies
from cataloger_sandbox.encode import Scalar, Value, scalar
from cataloger_sandbox.engines.base import (
    QUANTILES,
    Described,
    Engine,
    Field,
    Limits,
    QueryFailed,
    Relation,
    tell_apart,
)
from cataloger_sandbox.engines.estimate import rank_error
from cataloger_sandbox.engines.open import open_connections
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.flaws.finding import Finding
from cataloger_sandbox.flaws.search import choose, find_flaws, unlisted
from cataloger_sandbox.flaws.times import Rhythm
from cataloger_sandbox.flaws.values import flawed_values, lagging
from cataloger_sandbox.journal import Journal
from cataloger_sandbox.judging import judged, told
from cataloger_sandbox.keys import find_keys
from cataloger_sandbox.reading import SHARED, Reading
from cataloger_sandbox.references import find_references
from cataloger_sandbox.semantics.sample import label_columns
from cataloger_sandbox.steps import measure_part, run_steps, weigh
from cataloger_sandbox.survey import Dependency, Profile, Survey

QUERY_SECONDS = 300.0
"""No single query of ours runs longer; what would is listed as skipped."""


HELD = 4
"""Of so many large tables the rows that are drawn are in memory at a time, however many connections there are."""

_ENDLESS = ("Infinity", "-Infinity", "NaN")
"""What the mean or the standard deviation of finite values comes to where a sum on the way is beyond a double."""


def measure(
    connection: Mapping[str, Any],
    schemas: Sequence[str] | None,
    tables: Sequence[str],
    exclude: Sequence[str],
    hidden: Sequence[str],
    values: bool,
    limits: Limits | None = None,
    seconds: float | None = None,
    connections: int = 1,
) -> dict[str, Any]:
    """Measure the database behind *connection* and return its facts in the host's schema.

    Args:
        schemas: the schemas to look into; null for all.
        tables, exclude: globs over canonical table names (``name`` in the default schema, else ``schema.name``).
        hidden: globs of tables of which no value is read: counts only.
        values: whether values may be read at all.
        limits: up to what size things are counted one by one.
        seconds: how long all of it may take; what is not measured by then is listed as skipped.
        connections: over how many at most; what is measured is the same over any number.

    Raises:
        DatabaseProblem: the database can't be opened or listed.
    """
    now = datetime.now(UTC)
    with open_connections(connection, several=connections > 1) as opened:
        journal = Journal(opened.first, QUERY_SECONDS, seconds)
        survey = Survey(opened.first, journal, now, limits or Limits())
        return _measure(survey, opened, connections, schemas, tables, exclude, hidden, values)


def _measure(
    survey: Survey,
    connections: Connections,
    wanted: int,
    schemas: Sequence[str] | None,
    tables: Sequence[str],
    exclude: Sequence[str],
    hidden: Sequence[str],
    values: bool,
) -> dict[str, Any]:
    engine, journal = survey.engine, survey.journal
    try:
        relations, foreign, left_out = engine.catalog(lambda sql: journal.run(sql)[0], schemas)
    except QueryFailed as error:
        raise DatabaseProblem(f"the database's own catalog can't be read: {error}") from error
    tell_apart(relations)
    chosen = [item for item in relations if _matches(item.canonical, tables) and not _matches(item.canonical, exclude)]
    connections.grow(wanted, len(chosen))
    _profile_all(survey, connections, chosen, hidden, values)
    survey.expect_all()
    find_keys(survey)
    survey.links = find_references(survey, foreign)
    findings, beyond = choose(_examined(survey, connections))
    profiles = list(survey.profiles.values())
    skipped = [{"table": name, "column": None, "reason": reason} for name, reason in left_out]
    for profile in profiles:
        skipped += profile.skipped()
    columns = [column for profile in profiles for column in profile.columns]
    return {
        "engine": engine.label,
        "default_schema": engine.default_schema,
        "tables": [profile.dump() for profile in profiles],
        "references": [link.dump() for link in survey.links],
        "findings": [finding.dump() for finding in findings],
        "dependencies": [dependency.dump() for dependency in survey.dependencies],
        "queries": _needed(survey, findings, beyond),
        "coverage": {
            "tables": [sum(profile.dump()["rows"] is not None for profile in profiles), len(profiles)],
            "columns": [sum(column["nulls"] is not None for column in columns), len(columns)],
            "skipped": skipped,
            "sampled": [item for each in profiles for item in each.sampled(engine.sampling(each.relation))],
            "searched": [item for each in profiles for item in each.searching()],
            "unanswered": list(dict.fromkeys(journal.unanswered)),
            "unjudged": told(survey.unjudged),
            "unlisted": unlisted(beyond),
            "notes": connections.told,
        },
    }


def _needed(survey: Survey, listed: Sequence[Finding], left_out: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the queries, but for those that show the rows of findings alone that are not listed."""
    shown = [member for finding in listed for member in (finding, *finding.members)]
    used = {query for profile in survey.profiles.values() for query in profile.queries}
    used |= {link.query for link in survey.links if link.query} | {item.query for item in survey.dependencies}
    dropped = {finding.query for finding in left_out} - {finding.query for finding in shown} - used
    return [query for query in survey.journal.queries if query["id"] not in dropped]


def _profile_all(
    survey: Survey, connections: Connections, relations: Sequence[Relation], hidden: Sequence[str], values: bool
) -> None:
    """Profile every relation: each by itself, over the connection that is free."""

    def weighed(engine: Engine, relation: Relation, left: int) -> Survey:
        own = survey.beside(engine, connections.stopped)
        own.journal.share(left)
        if not relation.unreadable:
            weigh(own, relation)
        return own

    def profiled(engine: Engine, relation: Relation, left: int) -> tuple[Survey, Profile]:
        own = survey.beside(engine, connections.stopped)
        own.journal.share(left)
        engine.expect(relation.estimate if relation.kind == "table" else None, bool(relation.pieces))
        concealed = _matches(relation.canonical, hidden)
        return own, _profile(own, relation, concealed, values and not concealed)

    def size(relation: Relation) -> int:
        return relation.size

    def alone(relation: Relation) -> bool:
        return survey.engine.alone(relation, relation.estimate)

    # All at once: it takes some engines as long as a small table's profile to allow themselves less memory, and more.
    for own in connections.each(relations, size, weighed, alone):
        survey.take(own)
    for own, profile in connections.each(relations, size, profiled, alone):
        ids = survey.take(own)
        profile.queries = [ids[query] for query in profile.queries]
        survey.profiles[profile.name] = profile


def _examined(survey: Survey, connections: Connections) -> list[Finding]:
    """Return the flaws of every table, its dependencies and what its columns hold being known."""

    held = BoundedSemaphore(HELD)

    def examined(
        engine: Engine, profile: Profile, _: int
    ) -> tuple[Survey, list[Dependency], list[Finding], list[Rhythm]]:
        own = survey.beside(engine, connections.stopped)
        own.expect(profile)
        reading = Reading(own, profile)
        kinds = ["broken_dependency"]
        dependencies = judged(own, profile, kinds, find_dependencies, own, reading)
        label_columns(own, reading)
        return own, dependencies, *flawed_values(own, reading)

    def in_turn(
        engine: Engine, profile: Profile, left: int
    ) -> tuple[Survey, list[Dependency], list[Finding], list[Rhythm]]:
        if (profile.rows or 0) <= SHARED:
            return examined(engine, profile, left)
        with held:
            return examined(engine, profile, left)

    def searched(engine: Engine, profile: Profile, _: int) -> tuple[Survey, list[Finding]]:
        own = survey.beside(engine, connections.stopped)
        return own, find_flaws(own, profile)

    def size(profile: Profile) -> int:
        return (profile.rows or 0) * len(profile.relation.fields)

    def alone(profile: Profile) -> bool:
        return survey.engine.alone(profile.relation, profile.rows)

    findings: list[Finding] = []
    rhythms: list[Rhythm] = []
    for own, dependencies, found, rhythm in connections.each(list(survey.profiles.values()), size, in_turn, alone):
        ids = survey.take(own)
        survey.dependencies += [replace(item, query=ids[item.query]) for item in dependencies]
        findings += _known(ids, found)
        rhythms += rhythm
    survey.expect_all()
    findings += lagging(survey, rhythms)
    for own, found in connections.each(survey.tables, size, searched, alone):
        findings += _known(survey.take(own), found)
    return findings


def _known(ids: Mapping[str, str], findings: Sequence[Finding]) -> list[Finding]:
    """Return *findings* with the ids that their queries have now; some rest on a query of their table's profile."""
    return [replace(finding, query=ids.get(finding.query, finding.query)) for finding in findings]


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _profile(survey: Survey, relation: Relation, concealed: bool, values: bool) -> Profile:
    """Profile one relation, column group by column group."""
    profile = Profile(relation, hidden=concealed, values=values)
    engine = survey.engine
    if relation.unreadable:
        profile.reason = relation.unreadable
    else:
        try:
            run_steps(survey, profile)
        except QueryFailed as error:
            profile.reason = f"it can't be read: {error}"
            profile.facts.clear()
            profile.notes.clear()
            profile.queries.clear()
            if error.late:
                profile.reason = f"not all of it can be read in time: {error}"
                survey.journal.share_again()
                measure_part(survey, profile)
    plan = profile.plan
    for column in relation.fields:
        described = Described(column.kind, column.type)
        if plan and profile.rows is not None:
            described = engine.describe(column, profile.facts)
        profile.kinds[column.name] = described.kind
        part = profile.part
        found = _column(profile, column, described, engine) if part is None else _of_part(part, column, engine)
        profile.columns.append(found)
    if plan and plan.newest:
        newest = profile.facts.get("newest")
        if newest is None:  # SQLite reads fewer forms of time than people write
            newest = profile.facts.get(f"c{plan.newest.index}_max")
        if isinstance(newest, str) and newest[:1].isdigit() and newest[:10] <= plan.now[:10]:
            profile.newest = {"column": plan.newest.name, "value": str(scalar(newest))}
    return profile


def _of_part(part: Profile, column: Field, engine: Engine) -> dict[str, Any]:
    """Return what a sample says of a column of its table: quantiles and bins, whose error is known, and no more."""
    whole = _column(part, column, engine.describe(column, part.facts), engine)
    size = (part.rows or 0) - (whole["nulls"] or 0)
    found: dict[str, Any] = {name: whole[name] for name in ("name", "type", "nullable", "comment")}
    found |= dict.fromkeys(("nulls", "distinct", "distinct_method", "distinct_error", "min", "max", "skipped"))
    if whole.get("quantiles") and size:
        found |= {"quantiles": whole["quantiles"], "quantiles_error": round(rank_error(size), 4)}
    if whole.get("histogram"):
        found["histogram"] = {**whole["histogram"], "sampled": True}
    return found


def _column(profile: Profile, column: Field, described: Described, engine: Engine) -> dict[str, Any]:
    """Return the column as the host's schema has it."""
    facts = profile.facts

    def fact(name: str) -> Value:
        return facts.get(f"c{column.index}_{name}")

    def shown(name: str) -> Scalar:
        return scalar(fact(name))

    distinct, plan = fact("distinct"), profile.plan
    off = engine.distinct_error(plan, column, facts) if plan and distinct is not None else None
    result: dict[str, Any] = {
        "name": column.name,
        "type": described.type,
        "nullable": column.nullable,
        "nulls": fact("nulls"),
        "distinct": distinct,
        "distinct_method": None if distinct is None else "exact" if off is None else "hll",
        "distinct_error": off,
        "comment": column.comment,
        "skipped": _note(profile, column, described),
    }
    if not profile.values or plan is None:
        return result
    result |= {name: shown(name) for name in ("min", "max")}
    result |= {name: None if shown(name) in _ENDLESS else shown(name) for name in ("mean", "std")}
    quantiles = {share: shown(name) for share, name in QUANTILES.items() if fact(name) is not None}
    if quantiles:
        result["quantiles"] = quantiles
        result["quantiles_error"] = engine.quantiles_error(plan, column, facts)
    tops, counts = fact("tops"), fact("counts")
    if (
        tops
        and isinstance(tops, list)
        and isinstance(counts, list)
        and isinstance(distinct, int)
        and distinct <= plan.limits.top_distinct
    ):
        result["top"] = [[scalar(value), count] for value, count in zip(tops, counts, strict=True)]
    if fact("min_length") is not None and fact("mean_length") is not None:
        result["lengths"] = {
            "min": fact("min_length"),
            "max": fact("max_length"),
            "mean": fact("mean_length"),
        }
    result["histogram"] = _histogram(fact)
    return result


def _histogram(fact: Any) -> dict[str, Any] | None:
    packed, count = fact("histogram"), fact("bins")
    if not isinstance(packed, str) or not count:
        return None
    found = {int(key): int(value) for key, value in json.loads(packed).items()}
    size = max(int(count), max(found, default=0) + 1)
    low, high = fact("low"), fact("high")
    return {
        "low": scalar(fact("min") if low is None else low),
        "high": scalar(fact("max") if high is None else high),
        "counts": [found.get(index, 0) for index in range(size)],
        "sampled": fact("sampled") is not None,
    }


def _note(profile: Profile, column: Field, described: Described) -> str | None:
    """Say why a part of the column is not there, or null."""
    if profile.rows is None:
        return None  # said once, of the table
    if not column.readable:
        return "the role has no SELECT right on this column"
    if column.index in profile.notes:
        return profile.notes[column.index]
    if described.note:
        return described.note
    if described.kind == "nested":
        return "nested values: nulls and distinct values are counted; they have no range and no top values"
    infinite = profile.facts.get(f"c{column.index}_infinite")
    if infinite:
        return f"{infinite} values are NaN or infinite: mean, std, quantiles and histogram leave them out"
    lost = [name for name in ("mean", "std") if scalar(profile.facts.get(f"c{column.index}_{name}")) in _ENDLESS]
    return f"its values are too large for its {' and '.join(lost)} to be a number" if lost else None
