"""The data block: everything on a page once more, for programs, as JSON inside a script element that never runs.

Its schema is ``page-block.schema.json`` beside this module; keys beyond it are marked *extra*. Nothing here
draws a page. Values of the database are hostile: no character that HTML could take for markup is written.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

from pydantic import Field, ValidationError

from cataloger_dagster.errors import ReportError
from cataloger_dagster.facts import (
    Change,
    Claim,
    Column,
    Coverage,
    Dependency,
    Facts,
    Finding,
    Frozen,
    Query,
    Reference,
    Table,
)
from cataloger_dagster.report.run import Narrative, PageKind, Run

# What HTML could take for markup, and what no page can carry.
_ESCAPED = re.compile("[<>&\u2028\u2029\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
GENERATOR = '<meta name="generator" content="cataloger">'
"""What every page says early in its head."""

_SCRIPT = re.compile(
    r"""<script\b(?=[^>]*\sid\s*=\s*["']?cataloger["'\s>])[^>]*>(.*?)</script\s*>""", re.DOTALL | re.IGNORECASE
)
# What the profile's queries call their outputs: of values, and of counts.
_VALUES = re.compile(r"\bc\d+_(?:top|histogram|bins)\b|_tops?\b")
_COUNTS = re.compile(r"\bc\d+_nulls\b|\brows\b")
STEPS = 4
"""In so many steps a block can be shortened."""
_COMMENT = 200
"""So many characters of a comment stay where a block is shortened as far as it can be."""
_EXTRA = ("distinct_error", "lengths", "histogram", "comment", "skipped", "semantic_confidence")
_OPTIONAL = tuple(
    name
    for name, field in Column.model_fields.items()
    if name not in ("name", "type", "nullable", "nulls", "distinct", "distinct_method", "semantic_type", "pii")
)


class Block(Frozen):
    """The data of one page, as stored in it and read back by later runs."""

    format: Literal[1] = 1
    database: str
    snapshot: str
    scheduled: str | None = None
    engine: str
    model: str
    narrative: Narrative = "full"
    tables: list[Table]
    references: list[Reference] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    claims: list[Claim] = Field(default_factory=list)
    queries: list[Query] = Field(default_factory=list)
    changes: list[Change] = Field(default_factory=list)
    coverage: Coverage
    # extra
    kind: PageKind = "catalog"
    default_schema: str | None = None
    previous: str | None = None
    about: str | None = None
    usage: dict[str, int] = Field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    run_id: str | None = None
    notes: list[str] = Field(default_factory=list)
    measured: int = 0
    unmeasured: int = 0
    digest: str | None = None
    dependencies: list[Dependency] = Field(default_factory=list)

    @property
    def facts(self) -> Facts:
        """What was measured, as it was before a page was made of it."""
        return Facts(
            engine=self.engine,
            default_schema=self.default_schema,
            tables=self.tables,
            references=self.references,
            dependencies=self.dependencies,
            findings=self.findings,
            queries=self.queries,
            coverage=self.coverage,
        )


def block_of(
    run: Run,
    facts: Facts,
    *,
    kind: PageKind = "catalog",
    claims: Iterable[Claim] = (),
    changes: Sequence[Change] = (),
    about: str | None = None,
    measured: int = 0,
    unmeasured: int = 0,
) -> Block:
    """Return the block of a page that *run* makes of *facts*."""
    return Block(
        database=run.database,
        snapshot=run.snapshot,
        scheduled=run.scheduled,
        engine=facts.engine,
        model=run.model,
        narrative=run.narrative,
        tables=facts.tables,
        references=facts.references,
        findings=facts.findings,
        claims=list(claims),
        queries=facts.queries,
        changes=list(changes),
        coverage=facts.coverage,
        kind=kind,
        default_schema=facts.default_schema,
        previous=run.previous,
        about=about,
        usage=dict(run.usage),
        steps=run.steps,
        seconds=round(run.seconds, 3),
        run_id=run.run_id,
        notes=list(run.notes),
        measured=measured,
        unmeasured=unmeasured,
        dependencies=facts.dependencies,
    )


def write_block(block: Block, most: int = 5_000_000, steps: int = STEPS) -> str:
    """Return the block as JSON that is safe inside a script element.

    Over *most* characters it is shortened, of what is optional, in at most so many *steps*: without histograms; with
    four frequent values a column; without these; without lengths, quantiles and the ends of long comments. With all
    of them 10,000 columns take at most 6 MB.
    """
    text = ""
    for data in islice(_shorter(block.dump()), steps + 1):
        text = as_json(data)
        if len(text) <= most:
            break
    return text


def as_json(data: Any) -> str:
    """Return *data* as compact JSON without a character that HTML or a script could misread."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _shorter(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the block's data again and again, each time with less of what no reader needs."""
    columns = [column for table in data["tables"] for column in table["columns"]]
    # The schema has these as optional, not as null.
    _drop_nulls(data["references"], ["query"])
    findings = [part for finding in data["findings"] for part in (finding, *finding["members"])]
    _drop_nulls(findings, ["first_seen"])
    for name in ("members", "members_left_out", "tables_left_out"):
        _drop_empty(findings, name)
    _drop_nulls(data["changes"], ["tables"])
    _drop_nulls(data["claims"], ["note"])
    _drop_nulls(columns, _EXTRA)
    yield data
    _drop_nulls(columns, _OPTIONAL)
    _drop(columns, "histogram")
    yield data
    for column in columns:
        if column.get("top"):
            column["top"] = column["top"][:4]
    yield data
    _drop(columns, "top")
    _drop_queries_of_values(data)
    yield data
    _drop(columns, "lengths")
    _drop(columns, "quantiles")
    for item in [*data["tables"], *columns]:
        if item.get("comment"):
            item["comment"] = item["comment"][:_COMMENT]
    yield data


def _drop_queries_of_values(data: dict[str, Any]) -> None:
    """Drop the queries of the profiles that gave frequent values and histograms alone, none of which is left."""
    known = {query["id"]: query["sql"] for query in data["queries"]}
    used = {claim["query"] for claim in data["claims"]}
    dropped: set[str] = set()
    for table in data["tables"]:
        for key in table["queries"]:
            if key not in used and _VALUES.search(known.get(key, "")) and not _COUNTS.search(known[key]):
                dropped.add(key)
        table["queries"] = [key for key in table["queries"] if key not in dropped]
    data["queries"] = [query for query in data["queries"] if query["id"] not in dropped]


def _drop(items: Iterable[dict[str, Any]], name: str) -> None:
    for item in items:
        item.pop(name, None)


def _drop_empty(items: Iterable[dict[str, Any]], name: str) -> None:
    for item in items:
        if not item[name]:
            del item[name]


def _drop_nulls(items: Iterable[dict[str, Any]], names: Sequence[str]) -> None:
    for item in items:
        for name in names:
            if item.get(name) is None:
                item.pop(name, None)


def read_block(html: str) -> Block:
    """Return the data block of a page; keys that a later version added are passed over.

    Raises:
        ReportError: the page carries no block, or not one that this version can read.
    """
    found = _SCRIPT.search(html)
    if not found:
        cut = GENERATOR in html and not html.rstrip().endswith("</html>")
        raise ReportError(
            'the page carries no data block (no <script type="application/json" id="cataloger">); '
            + ("the file is cut short" if cut else "is it a page that cataloger wrote?")
        )
    try:
        data = json.loads(found[1])
    except ValueError as error:
        raise ReportError(f"the page's data block is no JSON ({error}); the file may be cut short") from error
    if not isinstance(data, Mapping) or data.get("format") != 1:
        shown = data.get("format") if isinstance(data, Mapping) else type(data).__name__
        raise ReportError(f"the page's data block has format {shown!r}, this version reads format 1; update cataloger")
    try:
        return Block.model_validate(data, extra="ignore")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ReportError(
            f"the page's data block can't be read: {place}: {first['msg']} ({error.error_count()} in all); "
            "was it changed by hand?"
        ) from error
