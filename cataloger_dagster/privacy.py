"""Masking: what personal data and secrets become before a model, a page or a record sees them.

One ``Mask`` a run: all text passes it that leaves the run, by ``text`` or, where it is HTML, by ``page``; facts by
``facts`` and ``block``, which know the columns' semantic types. What personal data and secrets look like is
``cataloger_sandbox.semantics``'; here is what becomes of them. Nothing here stops a model that encodes what it reads.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Literal

from cataloger_sandbox.semantics.credentials import secrets
from cataloger_sandbox.semantics.people import is_full_name, names_within
from cataloger_sandbox.semantics.personal import personal

from cataloger_dagster.errors import CatalogerError
from cataloger_dagster.facts import Claim, Column, Coverage, Facts, Finding, Query, Scalar, Table
from cataloger_dagster.report.block import Block

Privacy = Literal["schema", "masked", "full"]

SHORTEST = 3
"""A value of fewer characters is masked in its own column alone: anywhere else it would blot out ordinary words."""

_WORDS = (
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August "
    "September October November December None True False Table Page Name Unknown"
)
_ORDINARY = frozenset(_WORDS.split())
_TOKEN = re.compile(r"\w+")
_ESCAPE = re.compile(r"\\[nrt]")
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_DAY = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?"
_DAYS = re.compile(rf"(?<![\w-]){_DAY}(?![\w-])")
_WRITTEN = (re.compile(r"“([^”]*)”"), re.compile(r"'([^']*)'"))
_PAIR = re.compile(r"[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){1,3}")
# A comment that nothing ends reaches to the end of the text.
_TAG = re.compile(r"<!--(?:-?>|.*?(?:--!?>|\Z))|</?[A-Za-z!](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", re.DOTALL)
_ATTRIBUTE = re.compile(r"(?<=[\s\"'])([\w:.-]+)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")
_BREAKING = re.compile(
    r"</?(?:p|div|li|ul|ol|td|th|tr|table|h[1-6]|br|section|article|dt|dd|dl|pre|blockquote)\b", re.I
)

MASKED_QUERY = "/* values masked: it can't be run as it stands */"
"""What a query begins with that had to be masked."""

_VALUES = ("min", "max", "mean", "std", "quantiles", "quantiles_error", "top", "lengths", "histogram", "skipped")
"""What a column's profile tells of its values; the rest are counts, types and names."""

_CONCEALED = "Found when the values of this table could be shown; they are no longer."


def mask(text: str) -> str:
    """Return *text* with small letters as ``a``, capital ones as ``A`` and digits as ``9``."""
    return "".join(
        "9" if char.isdigit() else "A" if char.isupper() else "a" if char.isalpha() else char for char in text
    )


class Mask:
    """What a run may show of a database under *privacy*: secrets and *password* never, personal data unless ``full``.

    Of tables that one of the globs *hidden* matches no value is shown. ``learn`` adds the values of the database's own
    columns of personal data, which are then known wherever they stand.
    """

    def __init__(self, privacy: Privacy, password: str | None = None, hidden: Sequence[str] = ()) -> None:
        self.privacy = privacy
        self._hidden = tuple(hidden)
        self._password = password if password and len(password) >= 4 else None  # a shorter one would blot out words
        self._known: dict[str, set[str]] = {}
        self._own: frozenset[str] = frozenset()
        self._names = self._named = False

    def __call__(self, text: str, days: bool = False) -> str:
        """Return *text* with every piece masked that must not be seen, at its length and its place.

        With *days*, a day that stands by itself is known to be nobody's, though somebody may be born on it.
        """
        text = self._unlocked(text)
        return _blotted(text, self._spans(text, days))

    def _unlocked(self, text: str) -> str:
        return text.replace(self._password, "*" * len(self._password)) if self._password else text

    def learn(
        self,
        values: Mapping[str, Iterable[str]],
        own: Iterable[str] = (),
        names: bool = False,
        named: bool = False,
    ) -> None:
        """Know *values*, by kind of personal data or ``secret``, from now on.

        *own* are the names of tables and columns, which are shown whatever values are alike. With *names*, there are
        more persons than could be handed over: what reads like a full name is taken for one. With *named*, there are
        more texts than could be searched for persons: a given name and a surname are masked in any text.
        """
        self._own = frozenset(own)
        self._names = self._names or (names and self.privacy != "full")
        self._named = self._named or (named and self.privacy != "full")
        for kind, texts in values.items():
            if kind == "secret" or self.privacy != "full":
                for text in texts:
                    self._know(text)

    def _know(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()] if "\n" in text else []
        for piece in {text.strip(), *lines}:
            written = {
                piece,
                json.dumps(piece)[1:-1],
                html.escape(piece),
                piece.replace("'", "''"),
                piece.replace("'", "\\'"),
            }
            for each in written:
                first = _TOKEN.search(each)
                if first and len(each) >= SHORTEST and not (each in _ORDINARY or each in self._own):
                    self._known.setdefault(first[0].lower(), set()).add(each[first.start() :])

    def _spans(self, text: str, days: bool = False) -> Iterator[tuple[int, int]]:
        text = _ESCAPE.sub("\n\n", text)  # as long as it was: what follows a line's end in a repr begins there
        yield from ((span.start, span.end) for span in secrets(text))
        if self._known:
            kept = _days_by_themselves(text) if days else []
            yield from (
                span
                for span in self._known_spans(text)
                if not any(start <= span[0] and span[1] <= end for start, end in kept)
            )
        if self.privacy != "full":
            yield from ((span.start, span.end) for span in personal(text))
        if self._names:
            yield from (match.span() for match in _PAIR.finditer(text) if is_full_name(match[0]))
        if self._named:
            yield from names_within(text)

    def _known_spans(self, text: str) -> Iterator[tuple[int, int]]:
        for token in _TOKEN.finditer(text):
            for value in self._known.get(token[0].lower(), ()):
                start = token.start()
                if end := _end_of(value, text, start):
                    yield start, end

    @contextmanager
    def over_errors(self) -> Iterator[None]:
        """Mask the message of an error that leaves the block: engines quote values in theirs, and logs keep them."""
        try:
            yield
        except CatalogerError as error:
            message = self(str(error))
            if message == str(error):
                raise
            raise type(error)(message) from None

    def page(self, source: str) -> str:
        """Return the HTML *source* masked as a reader sees it: entities decoded, inline tags passed over."""
        pieces: list[tuple[int, int]] = []  # of the source, by the text between tags
        texts: list[str] = []
        out: list[str] = []
        end = read = 0
        for match in [*_TAG.finditer(source), None]:
            start = match.start() if match else len(source)
            pieces.append((len(out), read))
            text = html.unescape(source[end:start])
            texts.append(text)
            read += len(text)
            out.append(source[end:start])
            if match:
                out.append(self._tag(match[0]))
                if _BREAKING.match(match[0]):
                    texts.append("\n")
                    read += 1
                end = match.end()
        whole = "".join(texts)
        open_ = self._unlocked(whole)
        shown = _blotted(open_, self._spans(open_))
        if shown != whole:
            for place, offset in pieces:
                text = html.unescape(out[place])
                masked = shown[offset : offset + len(text)]
                if masked != text:
                    out[place] = html.escape(masked, quote=False)
        return "".join(out)

    def _tag(self, tag: str) -> str:
        if tag.startswith("<!--"):
            return f"<!--{self(tag[4:-3])}-->"

        def value(match: re.Match[str]) -> str:
            text = html.unescape(match[2].strip("\"'"))
            masked = text if match[1] == "ref" else self(text)
            return match[0] if masked == text else f'{match[1]}="{html.escape(masked)}"'

        return _ATTRIBUTE.sub(value, tag)

    def data(self, value: Any) -> Any:
        """Return JSON-ready data with every string in it masked; keys stay."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {key: self.data(item) for key, item in value.items()}
        return [self.data(item) for item in value] if isinstance(value, list | tuple) else value

    def value(self, column: Column, value: Scalar) -> Scalar:
        """Return a *value* of *column* as it may be shown: masked whole where all of the column's values are."""
        if value is None or isinstance(value, bool):
            return value
        if self._is_masked(column):
            return mask(str(value))
        # The day that one was born on is another's order date, and says nothing of the former.
        return self(value) if isinstance(value, str) and not _is_of_days(column) else value

    def _is_masked(self, column: Column) -> bool:
        return column.semantic_type == "secret" or (column.pii is not None and self.privacy != "full")

    def facts(self, facts: Facts) -> Facts:
        """Return *facts* with every value of the database, its comments and its complaints, as they may be shown."""
        return facts.model_copy(
            update={
                "coverage": self._coverage(facts.coverage),
                "tables": [self._table(table) for table in facts.tables],
                **self._told(facts),
            }
        )

    def conceals(self, table: str) -> bool:
        """Say whether no value of *table* may be shown, whatever it is."""
        return self.privacy == "schema" or any(fnmatchcase(table, glob) for glob in self._hidden)

    def block(self, block: Block) -> Block:
        """Return a page's data *block*, which another setting may have written, as it may be shown now."""
        block = self.without_values(block)
        return block.model_copy(
            update={
                "coverage": self._coverage(block.coverage),
                "tables": [self._table(table) for table in block.tables],
                **self._told(block),
                "claims": [self._claim(claim) for claim in block.claims],
                "changes": [
                    change.model_copy(update=self.data({"from_": change.from_, "to": change.to}))
                    for change in block.changes
                ],
                "about": block.about and self(block.about),
            }
        )

    def without_values(self, block: Block) -> Block:
        """Return *block* without the values of tables that were shown when it was written and are concealed now.

        What was written or asked about several tables goes with them: nobody can tell whose values are in it.
        """
        shown = [table for table in block.tables if not table.hidden]
        if self.privacy == "schema" and not any(map(_has_values, shown)):
            return block  # it was written under the same setting
        names = {table.name for table in shown if self.conceals(table.name)}
        if not names:
            return block
        bare = dict.fromkeys(_VALUES)
        return block.model_copy(
            update={
                "tables": [
                    table.model_copy(
                        update={
                            "columns": [column.model_copy(update=bare) for column in table.columns],
                            "newest": None,
                            "hidden": True,
                        }
                    )
                    if table.name in names
                    else table
                    for table in block.tables
                ],
                "findings": [_without_words(finding, names) for finding in block.findings],
                "queries": [query.model_copy(update={"sql": MASKED_QUERY}) for query in block.queries],
                "claims": [],
                "changes": [
                    change.model_copy(update={"from_": None, "to": None}) if change.table in names else change
                    for change in block.changes
                ],
                "about": None,
            }
        )

    def _table(self, table: Table) -> Table:
        columns = [self._column(column, table.hidden or self.privacy == "schema") for column in table.columns]
        newest = table.newest
        if newest is not None and self._is_masked(table.column_by_name[newest.column]):
            newest = None
        return table.model_copy(
            update={"columns": columns, "comment": table.comment and self(table.comment), "newest": newest}
        )

    def _column(self, column: Column, concealed: bool) -> Column:
        shown: dict[str, Any] = {
            "min": self.value(column, column.min),
            "max": self.value(column, column.max),
            "top": column.top and [(self.value(column, item), count) for item, count in column.top],
            "quantiles": column.quantiles
            and {share: self.value(column, item) for share, item in column.quantiles.items()},
            "comment": column.comment and self(column.comment),
            # An engine's complaint quotes the value.
            "skipped": column.skipped and self._complaint(column.skipped, concealed or self._is_masked(column)),
        }
        if self._is_masked(column):  # what is computed of card numbers tells about them
            shown |= {"mean": None, "std": None, "quantiles": None, "histogram": None}
        return column.model_copy(update=shown)

    def _complaint(self, text: str, concealed: bool) -> str:
        return self(_QUOTED.sub(lambda match: mask(match[0]), text) if concealed else text)

    def _coverage(self, coverage: Coverage) -> Coverage:
        skipped = [
            item.model_copy(update={"reason": self._complaint(item.reason, self.privacy == "schema")})
            for item in coverage.skipped
        ]
        concealed = self.privacy == "schema"
        searched = [
            item.model_copy(update={"reason": item.reason and self._complaint(item.reason, concealed)})
            for item in coverage.searched
        ]
        unanswered = [self._complaint(reason, concealed) for reason in coverage.unanswered]
        unjudged = [
            item.model_copy(update={"reason": self._complaint(item.reason, concealed)}) for item in coverage.unjudged
        ]
        unlisted = [item.model_copy(update={"ids": [self(key) for key in item.ids]}) for item in coverage.unlisted]
        return coverage.model_copy(
            update={
                "skipped": skipped,
                "searched": searched,
                "unanswered": unanswered,
                "unjudged": unjudged,
                "unlisted": unlisted,
                "notes": [self._complaint(note, concealed) for note in coverage.notes],
            }
        )

    def _told(self, of: Facts | Block) -> dict[str, Any]:
        """Return findings and queries as they may be shown.

        What our rules say of a table, and ask, may name its days where none of them is a person's.
        """
        births = {table.name for table in of.tables if any(self._is_a_persons_day(column) for column in table.columns)}
        parts = [part for finding in of.findings for part in finding.parts]
        ours = {part.query for part in parts} - {part.query for part in parts if part.table in births}
        return {
            "findings": [self._finding(finding, births) for finding in of.findings],
            "queries": [self._query(query, query.id in ours) for query in of.queries],
        }

    def _is_a_persons_day(self, column: Column) -> bool:
        return self._is_masked(column) and (column.pii == "date_of_birth" or _is_of_days(column))

    def _finding(self, finding: Finding, births: Set[str]) -> Finding:
        members = [self._finding(member, births) for member in finding.members]
        days = not any(part.table in births for part in finding.parts)
        return finding.model_copy(
            update={"id": self(finding.id), "sentence": self(finding.sentence, days), "members": members}
        )

    def _query(self, query: Query, days: bool) -> Query:
        masked = self(query.sql, days)
        return query if masked == query.sql else query.model_copy(update={"sql": f"{MASKED_QUERY}\n{masked}"})

    def _claim(self, claim: Claim) -> Claim:
        return claim.model_copy(update=self.data({"value": claim.value, "note": claim.note}))


def _without_words(finding: Finding, tables: Set[str]) -> Finding:
    """Return *finding* without its words where it, or a part of it, is of one of *tables*."""
    if not any(part.table in tables for part in finding.parts):
        return finding
    members = [_without_words(member, tables) for member in finding.members]
    return finding.model_copy(update={"sentence": _CONCEALED, "members": members})


def _has_values(table: Table) -> bool:
    return any(getattr(column, name) is not None for column in table.columns for name in ("min", "top", "mean"))


def _is_of_days(column: Column) -> bool:
    return column.semantic_type in ("date", "timestamp") or bool(re.match(r"(?:date|timestamp)\b", column.type, re.I))


def _days_by_themselves(text: str) -> list[tuple[int, int]]:
    """Return where days and times of day stand in *text*, but for those within a value that says more."""
    written = [match.span() for each in _WRITTEN for match in each.finditer(text) if not _DAYS.fullmatch(match[1])]
    found = (match.span() for match in _DAYS.finditer(text))
    return [span for span in found if not any(start < span[0] < end for start, end in written)]


def _end_of(value: str, text: str, start: int) -> int:
    """Return where *value*, or as much of it as a cut leaves, ends in *text* if it stands at *start*, else 0."""
    end = start + len(value)
    piece = text[start:end]
    if piece == value or (len(value) > 5 and piece.lower() == value.lower()):
        goes_on = value[-1].isalnum() and end < len(text) and (text[end].isalnum() or text[end] == "_")
        return 0 if goes_on else end
    cut = re.search(r"…|\.\.\.", piece)
    return start + cut.start() if cut and cut.start() >= SHORTEST and value.startswith(piece[: cut.start()]) else 0


def _blotted(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return *text* with *spans* masked; its length stays."""
    found = sorted({span for span in spans if span[0] < span[1]})
    if not found:
        return text
    out: list[str] = []
    end = 0
    for start, stop in found:
        if stop <= end:
            continue
        start = max(start, end)
        out += [text[end:start], mask(text[start:stop])]
        end = stop
    return "".join([*out, text[end:]])
