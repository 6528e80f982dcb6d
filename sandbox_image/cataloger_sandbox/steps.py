"""The steps of one table's profile: each query run, what fails left out, a sample in place of what takes too long.

The SQL is made in ``engines``. What the outputs mean is ``measure``'s.
"""

import contextlib
from dataclasses import replace

from cataloger_sandbox.engines.base import LONG_BYTES, LONG_VALUE, Field, Plan, QueryFailed, Relation, Rows, Step
from cataloger_sandbox.journal import Journal
from cataloger_sandbox.keys import newest_field
from cataloger_sandbox.survey import Profile, Survey

PART_ROWS = 10_000
"""Of a table that takes longer than its share of the time about so many rows are drawn."""


def run_steps(survey: Survey, profile: Profile) -> None:
    """Measure what *profile* is to hold, step by step.

    Raises:
        QueryFailed: the relation can't be read, or not in its share of the time.
    """
    engine, journal, relation = survey.engine, survey.journal, profile.relation
    rows = relation.estimate
    if rows is None and engine.rows_first:
        # How a view is profiled depends on its size, which no catalog tells.
        counted, identifier = journal.run(f"SELECT count(*) AS rows\nFROM {engine.path(relation)}")
        rows = int(str(counted.first()["rows"]))
        profile.queries.append(identifier)
    newest = newest_field(relation) if profile.values else None
    now = survey.now.strftime("%Y-%m-%d %H:%M:%S")
    plan = Plan(relation, profile.values, rows, newest, now, survey.limits, _long(survey, profile))
    profile.plan = plan
    readable = [column for column in relation.fields if column.readable]
    for step in engine.steps:
        wanted = [column for column in readable if step.wants(plan, column, profile.facts)]
        for fields in _chunks(wanted, step.width) or ([[]] if step.first else []):
            _attempt(journal, profile, plan, step, fields)


def _long(survey: Survey, profile: Profile) -> frozenset[int]:
    """Return the indexes of the columns whose values are too long to be grouped, and note so."""
    relation = profile.relation
    if relation.weighed is None:
        weigh(survey, relation)
        survey.engine.expect(relation.estimate if relation.kind == "table" else None, bool(relation.pieces))
    weighed = relation.weighed or {}
    found = set()
    for column in relation.fields:
        size, values = (int(str(weighed.get(f"{name}{column.index}") or 0)) for name in ("b", "n"))
        if size > LONG_BYTES and size > LONG_VALUE * values:
            found.add(column.index)
            profile.notes[column.index] = (
                f"its values are long, {size / 1e6:,.0f} MB in all: they are not grouped, so no most frequent ones are "
                "given, and distinct ones are estimated at most"
            )
    if found:
        # One thread: each holds two thousand values at once.
        survey.engine.expect(0, confined=bool(relation.pieces))
    return frozenset(found)


def weigh(survey: Survey, relation: Relation) -> None:
    """Count the bytes of the columns of *relation* where they may be long, in little memory, which the engine keeps to.

    Nothing is known of them where nobody can tell.
    """
    engine = survey.engine
    relation.weighed = {}
    sql = engine.weighing(relation)
    if sql is None:
        return
    engine.expect(relation.estimate, confined=True)
    try:
        relation.weighed = survey.journal.try_out(sql).first()
    except QueryFailed as error:
        # What fails for another reason fails again in the profile's own queries, or doesn't.
        if error.late or not engine.narrow(relation) or (sql := engine.weighing(relation)) is None:
            return
        with contextlib.suppress(QueryFailed):
            relation.weighed = survey.journal.try_out(sql).first()


def _attempt(journal: Journal, profile: Profile, plan: Plan, step: Step, fields: list[Field]) -> None:
    """Run *step* for *fields*; where that fails, find the column to blame and go on without it.

    Raises:
        QueryFailed: the relation itself can't be read.
    """
    try:
        rows, identifier = journal.run(step.sql(plan, fields, profile.facts))
    except QueryFailed as error:
        if not fields or error.lost or (step.first and error.late):
            raise
        if len(fields) > 1:
            if step.first and len(fields) == len([item for item in plan.relation.fields if item.readable]):
                journal.run(f"SELECT count(*) AS rows\nFROM {journal.engine.path(plan.relation)}")
            middle = len(fields) // 2
            _attempt(journal, profile, plan, step, fields[:middle])
            _attempt(journal, profile, plan, step, fields[middle:])
            return
        profile.notes.setdefault(fields[0].index, f"{step.what} could not be measured: {error}")
        if not step.instead:
            return
        try:
            rows, identifier = _less(journal, profile, plan, step, fields)
        except QueryFailed as failed:
            if step.first or failed.lost:
                raise
            return
    profile.facts |= rows.first()
    profile.queries.append(identifier)


def _less(journal: Journal, profile: Profile, plan: Plan, step: Step, fields: list[Field]) -> tuple[Rows, str]:
    """Measure of *fields* what can be where *step* fails.

    Raises:
        QueryFailed: the relation itself can't be read.
    """
    for query in step.instead:
        with contextlib.suppress(QueryFailed):  # said already: the profile's own failure is the column's note
            return journal.run(query(plan, fields, profile.facts))
    return journal.run(f"SELECT count(*) AS rows\nFROM {journal.engine.path(plan.relation)}")


def _chunks(fields: list[Field], width: int) -> list[list[Field]]:
    return [fields[start : start + width] for start in range(0, len(fields), width)]


def measure_part(survey: Survey, profile: Profile) -> None:
    """Count the rows of a table that takes too long to be measured, and profile some of them, each drawn by itself.

    What takes too long again is left out; a sample that would be another one each time is none that anyone can check.
    """
    relation, engine = profile.relation, survey.engine
    try:
        rows, identifier = survey.journal.run(f"SELECT count(*) AS rows\nFROM {engine.path(relation)}")
    except QueryFailed:
        return
    profile.counted = int(str(rows.first()["rows"]))
    profile.queries.append(identifier)
    if not relation.fixed or not profile.values or not profile.counted:
        return
    drawn = engine.drawn(relation, ["*"], min(1.0, PART_ROWS / profile.counted))
    stands = replace(
        relation,
        part=f"({drawn}) AS part",
        estimate=PART_ROWS,
        fixed=False,
        primary_key=None,
        unique=[],
        parts=False,
        weighed=None,
    )
    part = Profile(stands, hidden=profile.hidden, values=True)
    with contextlib.suppress(QueryFailed):
        run_steps(survey, part)
    if part.rows:
        profile.part = part
        profile.queries += part.queries
