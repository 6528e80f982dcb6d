"""What keeps a search for flaws going: what one rule or question fails at is noted, and the others go on.

Nothing is judged here. What was not judged, where and why, is told with the coverage; see ``Unjudged``.
"""

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from cataloger_sandbox.errors import DatabaseProblem

if TYPE_CHECKING:
    from cataloger_sandbox.survey import Profile, Survey

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class Unjudged:
    """What nobody looked for, or not to the end.

    Attributes:
        kinds: the kinds of findings that may be missing.
        table: where; null for the whole database.
        columns: which of its columns; none for all of them.
        reason: why; never a value of the database.
        cut: whether a bound of the search left it out; else something failed.
    """

    kinds: Sequence[str]
    table: str | None
    reason: str
    columns: Sequence[str] = ()
    cut: bool = False


def judged(
    survey: "Survey",
    profile: "Profile | None",
    kinds: Sequence[str],
    rule: Callable[P, Iterable[T]],
    *args: P.args,
    **named: P.kwargs,
) -> list[T]:
    """Return what *rule*, called with the other arguments, finds of *kinds* in a table; null for the whole database.

    This is the one place where any exception of a rule's is caught: a mistake in one of our rules must not cost all
    that the others know. It is noted, and what the rule found before counts. Of its questions those that got no answer
    are noted too.

    Raises:
        DatabaseProblem: the database itself can't be read any more.
    """
    table, journal, found = profile.name if profile else None, survey.journal, []
    asked = len(journal.unanswered)
    try:
        for item in rule(*args, **named):
            found.append(item)  # noqa: PERF402 - what was found before the rule fails is kept
    except DatabaseProblem:
        raise
    except Exception as error:
        survey.unjudged.append(Unjudged(kinds, table, _fault(error)))
    if not journal.over:  # what no time is left for is told once, of all of them
        for reason in dict.fromkeys(journal.unanswered[asked:]):
            survey.unjudged.append(Unjudged(kinds, table, f"a question got no answer: {reason}"))
        del journal.unanswered[asked:]
    return found


def told(unjudged: Iterable[Unjudged]) -> list[dict[str, Any]]:
    """Return *unjudged* in the host's schema: once for many tables where all else is the same."""
    tables: dict[tuple[Any, ...], list[str]] = {}
    for item in unjudged:
        places = tables.setdefault((tuple(item.kinds), item.reason, tuple(item.columns), item.cut), [])
        if item.table is not None and item.table not in places:
            places.append(item.table)
    return [
        {"kinds": list(kinds), "tables": places, "columns": list(columns), "reason": reason, "cut": cut}
        for (kinds, reason, columns, cut), places in tables.items()
    ]


def _fault(error: Exception) -> str:
    """Say where a rule failed; an exception's own message may quote what the database holds."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"a fault of cataloger's own ({type(error).__name__}, {Path(last.filename).name}:{last.lineno})"
