"""Times that can't be: after the snapshot where the bulk is before it, and tables that lag behind their own rhythm."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from cataloger_sandbox.flaws.finding import Finding
from cataloger_sandbox.flaws.look import DAY, Column, Look, Suspect, sql_value
from cataloger_sandbox.flaws.phrases import counted, verb
from cataloger_sandbox.survey import Profile, Survey

LEAST = 20

BULK = 0.85
"""So large a share of the values is before the snapshot where those after it are a flaw."""

HAPPENED, FAR = 0.5, 10
"""More than this share of the rows planned for later has happened, so many times as far from the plan as is usual."""

_AHEAD = re.compile(
    r"due|expir|valid|until|till|deadline|end|retire|planned?|effective|next|future|schedul|target|estimat|expected|eta"
    r"|forecast|maturity|matur|renew|appoint|booking|reserv|check_?in|check_?out|arrival|departure|travel|trip|depart"
    r"|event|start|begin|from|to$|delivery|deliver|promise|project|goal|milestone|review_?date|follow_?up|reminder"
    r"|release|launch|available|contract|lease|warranty|trial|period|term|session|holiday|calendar",
    re.IGNORECASE,
)
_RECORDED = re.compile(
    r"creat|updat|modif|chang|insert|log|record|event_?time|stamp|^ts$|_ts$|ingest|load|import|sync|seen|birth|born|dob"
    r"|sign_?up|register|regist|joined|hired?|order|purchas|paid|payment|invoice|sold|sale|posted|visit|login|opened"
    r"|received|closed|measured|observed|sampled|added",
    re.IGNORECASE,
)
_BEGAN = re.compile(
    r"install|found(ed|ing)|establish|built|construct|open(ed|ing)|hire|join|born|birth|since|start|launch|commission"
    r"|manufactur|produced|publish|releas|effective|valid",
    re.IGNORECASE,
)
_GAP = 30 * DAY

PERIODS = 20
"""A table has a rhythm if it got rows on so many days at least."""

ARCHIVE_DAYS, TOGETHER_DAYS = 730, 60
"""A database of one table that ended so many days ago is an archive, and one of several that ended together."""


def future_dates(look: Look) -> Iterator[Suspect]:
    """Yield the columns of times gone by in which some are still to come.

    A column that is named for plans is none, nor one in which the times run on over the snapshot as before it,
    unless its name says that it records what happened, or another time of the same rows does.
    """
    # A day of grace: clocks and time zones differ.
    bound = (look.survey.now + timedelta(days=1)).astimezone(UTC)
    for column in look.of_kind("time"):
        if column.filled < LEAST or column.field.base.lower().startswith(("time without", "time with", "timetz")):
            continue
        values, numbers, counts = column.ordered()
        later = numbers > bound.timestamp()
        total, beyond = float(counts.sum()), float(counts[later].sum())
        newest = column.profile.get("max") if not look.whole else None
        unseen = isinstance(newest, str) and newest[:10] > bound.strftime("%Y-%m-%d") and newest not in column.taken
        if (
            total - beyond < max(BULK * total, LEAST)
            or not (beyond or unseen)
            or not (_is_past(column, numbers, later) or _has_happened(look, column, bound.timestamp()))
        ):
            continue
        # Text times, of SQLite, are compared as such: the day alone is read alike everywhere.
        where = f"{column.sql} > '{bound:%Y-%m-%d %H:%M:%S}'"
        if column.field.base in ("text", "DATE", "date"):
            where = f"{column.sql} > '{bound:%Y-%m-%d}'"
        excluded = sorted(sql_value(column, value) for value in column.taken)
        if excluded:
            where += f" AND {column.sql} NOT IN ({', '.join(excluded)})"
        column.take([value for value, is_later in zip(values, later, strict=True) if is_later])
        yield Suspect("future_date", [column.name], "medium", where, _say(look, column), order=column.sql, most=0.2)


def _say(look: Look, column: Column) -> Callable[[int], str]:
    return lambda rows: (
        f"{counted(rows, look)} of {look.profile.name} {verb(rows, 'has', 'have')} a time in {column.name} that was "
        f"still to come when this was measured, on {look.survey.now:%Y-%m-%d}."
    )


def _has_happened(look: Look, column: Column, bound: float) -> bool:
    """Tell whether the rows planned for later have happened: by another time that elsewhere is close to the plan's."""
    planned = column.numbers
    later = planned > bound
    for other in look.of_kind("time"):
        done = other.numbers <= bound
        before = done & (planned <= bound)
        if other is column or before.sum() < LEAST:
            continue
        apart = np.abs(planned - other.numbers)
        usual = max(float(np.quantile(apart[before], 0.99)), DAY)
        if (later & done & (apart > FAR * usual)).sum() > HAPPENED * later.sum():
            return True
    return False


def _is_past(column: Column, numbers: np.ndarray, later: np.ndarray) -> bool:
    recorded = bool(_RECORDED.search(column.name)) or bool(re.search(r"_at$", column.name))
    if _AHEAD.search(column.name) and not recorded:
        return False
    if recorded or not later.any():
        return recorded
    before = numbers[~later]
    # What stops long before and begins again after is not one run of times that crosses the present.
    return bool(len(before)) and float(numbers[later][0] - before[-1]) > _GAP


@dataclass(frozen=True)
class Rhythm:
    """The days, as seconds since 1970 and ascending, on which a table got rows, by its telling time column."""

    profile: Profile
    column: str
    newest: datetime
    days: np.ndarray


def rhythm(look: Look) -> Rhythm | None:
    """Return a table's rhythm; null where it has no telling time, or too few rows."""
    newest = look.profile.newest
    if newest is None or newest["column"] not in look.columns or look.rows < PERIODS or _of_thing(newest["column"]):
        return None
    try:
        last = datetime.fromisoformat(newest["value"])
    except ValueError:
        return None
    last = last if last.tzinfo else last.replace(tzinfo=UTC)
    numbers = look.columns[newest["column"]].numbers
    days = np.unique(np.floor(numbers[np.isfinite(numbers)] / DAY)) * DAY
    return Rhythm(look.profile, newest["column"], last, days[days <= last.timestamp()])


def _of_thing(name: str) -> bool:
    """Tell whether a time tells when something began to be, not when its row was written: that of reference data."""
    return bool(_BEGAN.search(name))


def stale_tables(survey: Survey, rhythms: Sequence[Rhythm]) -> Iterator[Finding]:
    """Yield the tables whose newest time lags far behind their own rhythm.

    The gaps between the days on which a table got rows are its rhythm: a last gap three times as long as any before
    is none of it. Where every table of the database ended long ago, or several end together, the database holds a
    stretch of the past: then only what ends before the rest of it lags.
    """
    if not rhythms:
        return
    now, latest = survey.now.astimezone(UTC), max(each.newest for each in rhythms)
    old = timedelta(days=ARCHIVE_DAYS if len(rhythms) == 1 else TOGETHER_DAYS)
    if now - latest > old:
        now = latest
    for each in rhythms:
        if found := _stale(survey, each, now):
            yield found


def _stale(survey: Survey, each: Rhythm, now: datetime) -> Finding | None:
    lag = (now - each.newest).total_seconds()
    if lag < 2 * DAY or len(each.days) < PERIODS:
        return None
    gaps = np.diff(each.days)
    longest = float(gaps.max())
    if lag < 3 * longest or lag < 10 * np.quantile(gaps, 0.95):
        return None
    profile = each.profile
    column, path = survey.engine.quote(each.column), survey.engine.path(profile.relation)
    sql = f"SELECT count(*) AS rows, max({column}) AS newest\nFROM {path}\nWHERE {column} <= '{now:%Y-%m-%d %H:%M:%S}'"
    rows, query = survey.journal.count(sql)
    if not rows or query is None:
        return None
    days = round(float(np.median(gaps)) / DAY)
    sentence = (
        f"The newest {each.column} of {profile.name} is {each.newest:%Y-%m-%d}, {lag / DAY:,.0f} days before "
        f"{now:%Y-%m-%d}; until then rows came {'every day' if days <= 1 else f'every {days:,} days'}, "
        f"and never more than {longest / DAY:,.0f} {'day' if longest <= DAY else 'days'} apart."
    )
    return Finding("stale_table", profile.name, [each.column], "medium", rows, query, sentence)
