"""Facts that look real, for tests of everything that reads facts: a friendly database, its next month, a hostile one.

``flights`` has the shape and about the numbers of nycflights13, and ``report`` is a run's report of it;
``hostile`` has names, values and comments that try to leave every context they are put in; ``large`` has as
many columns as asked for.
"""

from collections.abc import Sequence

from cataloger_dagster.agent.loop import Outcome
from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.agent.model import Usage
from cataloger_dagster.facts import (
    Claim,
    Column,
    Coverage,
    Facts,
    Finding,
    Histogram,
    Lengths,
    Newest,
    Query,
    Reference,
    Sampled,
    Skipped,
    Table,
)
from cataloger_dagster.publication import Report
from cataloger_dagster.report.block import Block
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.run import Run
from cataloger_dagster.store.snapshots import moment

AT = "2013-12-31T23:59:00.000Z"
BEFORE = "2013-11-30T23:59:00.000Z"

NARRATIVE = """
<p>Every departure from New York's airports, with the aircraft, the carriers, the airports and the weather.</p>
<h2>What this database is</h2>
<p>The centre is <a href="#flights"><code>flights</code></a>: <fact-value ref="flights.rows"> scheduled departures,
of which <fact-value ref="flights.dep_time.nulls"> never left (no departure time). Each names its carrier, its
aircraft and its airports; <a href="#weather"><code>weather</code></a> joins by origin and hour. Times are local and
written as <code>HHMM</code>: use <code>time_hour</code> for arithmetic.</p>
<p>Half of all flights arrive <fact-value ref="flights.arr_delay.median"> minutes late or earlier; a model once
wrote 12 here, and numbers nobody measured are marked.</p>
<fact-chart ref="flights.arr_delay">
<h2>How tables relate</h2>
<p>Everything hangs on <code>flights</code>. The register of aircraft is incomplete:
<fact-value ref="flights.tailnum.orphans"> flights name one that it does not have.</p>
<fact-relations>
<h2>Tables</h2>
<h3>flights</h3>
<p>One row per scheduled departure; cancelled flights stay in, without times.</p>
<fact-table ref="flights">
<p data-for="flights.dep_time">Actual departure, local time as HHMM; empty where the flight was cancelled.</p>
<p data-for="flights.arr_delay">Minutes late at arrival; negative is early.</p>
<p data-for="flights.carrier">Two-letter airline code.</p>
<p data-for="flights.tailnum">Registration of the aircraft;
<fact-value ref="flights.tailnum.nulls"> flights have none.</p>
<p data-for="flights.time_hour">Scheduled hour of departure, the key to <a href="#weather">weather</a>.</p>
<fact-table ref="weather">
<p data-for="weather">Hourly weather at each of the airports flights start from.</p>
<h2>Open questions</h2>
<ul><li>Are the missing aircraft leased, or is the register old?</li>
<li>Should <code>planes.speed</code> be dropped? It is nearly empty.</li></ul>
"""


def run(**changed: object) -> Run:
    """A run of the flights database."""
    known: dict[str, object] = {
        "database": "flights",
        "snapshot": AT,
        "model": "claude-sonnet-4-5",
        "usage": {"input": 48_213, "cache_read": 310_400, "output": 9_120},
        "steps": 14,
        "seconds": 85.2,
        "previous": BEFORE,
    }
    return Run(**(known | changed))  # type: ignore[arg-type]


def report(narrative: str) -> Report:
    """A report of the flights database at its limits, told by *narrative*."""

    def render(snapshot: str) -> Page[Block]:
        return catalog_page(run(snapshot=snapshot), flights(), narrative, {}, [])

    return Report(
        database="flights",
        kind="catalog",
        at=moment(AT),
        render=render,
        page=render(AT),
        script="",
        transcript="",
        model="offline",
        outcome=Outcome(html=narrative, usage=Usage(input=60, output=40), steps=5, ended="submitted"),
        limits=Limits(tokens=100, steps=5, seconds=10),
        seconds=30,
        agent_seconds=10,
    )


def _bins(low: float, high: float, *counts: int) -> Histogram:
    return Histogram(low=low, high=high, counts=list(counts))


def _number(
    name: str, type_: str, nulls: int, distinct: int, q: list[float], mean: float, std: float, h: list[int]
) -> Column:
    low, q05, q25, q50, q75, q95, high = q
    return Column(
        name=name,
        type=type_,
        nullable=True,
        nulls=nulls,
        distinct=distinct,
        distinct_method="exact",
        min=low,
        max=high,
        mean=mean,
        std=std,
        quantiles={"0.05": q05, "0.25": q25, "0.5": q50, "0.75": q75, "0.95": q95},
        quantiles_error=0.006,
        histogram=_bins(low, high, *h),
    )


def _text(
    name: str, nulls: int, distinct: int, top: list[tuple[str, int]], lengths: tuple[int, int, float], **more: object
) -> Column:
    return Column(
        name=name,
        type="varchar",
        nullable=True,
        nulls=nulls,
        distinct=distinct,
        distinct_method="exact",
        min=min(v for v, _ in top),
        max=max(v for v, _ in top),
        top=top,
        lengths=Lengths(min=lengths[0], max=lengths[1], mean=lengths[2]),
        **more,  # type: ignore[arg-type]
    )


def flights(month: int = 12) -> Facts:
    """The facts of the flights database at the end of November or of December 2013."""
    december = month == 12
    rows = 336_776 if december else 308_641
    shape = [2, 9, 24, 61, 118, 96, 58, 34, 21, 14, 9, 6, 4, 3, 2, 1, 1, 0, 0, 0, 1]
    flights_columns = [
        Column(
            name="year",
            type="integer",
            nullable=False,
            nulls=0,
            distinct=1,
            distinct_method="exact",
            min=2013,
            max=2013,
            mean=2013.0,
            std=0.0,
            top=[(2013, rows)],
            semantic_type="year",
        ),
        Column(
            name="month",
            type="integer",
            nullable=False,
            nulls=0,
            distinct=month,
            distinct_method="exact",
            min=1,
            max=month,
            mean=6.55,
            std=3.41,
            quantiles={"0.25": 4, "0.5": 7, "0.75": 10},
            top=[(7, 29_425), (8, 29_327), (10, 28_889), (3, 28_834), (5, 28_796), (4, 28_330)],
        ),
        _number(
            "day",
            "integer",
            0,
            31,
            [1, 2, 8, 16, 23, 29, 31],
            15.71,
            8.77,
            [21, 11, 21, 11, 11, 21, 11, 11, 21, 11, 11, 21, 11, 11, 21, 11, 11, 21, 11, 11, 9, 6],
        ),
        _number(
            "dep_time",
            "integer",
            8_255 if december else 7_230,
            1_318,
            [1, 624, 907, 1401, 1744, 2112, 2400],
            1349.11,
            488.28,
            [4, 1, 0, 1, 12, 48, 61, 55, 43, 38, 35, 36, 38, 41, 44, 46, 40, 38, 30, 20, 9, 3],
        ),
        _number(
            "arr_delay",
            "double",
            9_430 if december else 8_200,
            577,
            [-86, -32, -17, -5, 14, 91, 1272],
            6.9,
            44.63,
            shape,
        ),
        _text(
            "carrier",
            0,
            16,
            [("UA", 58_665), ("B6", 54_635), ("EV", 54_173), ("DL", 48_110), ("AA", 32_729), ("MQ", 26_397)],
            (2, 2, 2.0),
            comment="Two-letter IATA code",
        ),
        Column(
            name="flight",
            type="integer",
            nullable=False,
            nulls=0,
            distinct=3_844,
            distinct_method="exact",
            min=1,
            max=8500,
            mean=1971.9,
            std=1632.5,
            quantiles={"0.25": 553, "0.5": 1496, "0.75": 3465},
            histogram=_bins(1, 8500, 90, 60, 40, 33, 20, 18, 12, 10, 22, 30, 28, 8, 2, 1, 1, 0, 0, 0, 0, 1),
            semantic_type="identifier",
        ),
        _text(
            "tailnum",
            2_512,
            4_043,
            [("N725MQ", 575), ("N722MQ", 513), ("N723MQ", 507), ("N711MQ", 486), ("N713MQ", 483)],
            (5, 6, 5.98),
            semantic_type="identifier",
        ),
        _text("origin", 0, 3, [("EWR", 120_835), ("JFK", 111_279), ("LGA", 104_662)], (3, 3, 3.0)),
        _text(
            "dest",
            0,
            105,
            [("ORD", 17_283), ("ATL", 17_215), ("LAX", 16_174), ("BOS", 15_508), ("MCO", 14_082)],
            (3, 3, 3.0),
        ),
        Column(
            name="time_hour",
            type="timestamp with time zone",
            nullable=False,
            nulls=0,
            distinct=6_920,
            distinct_method="hll",
            min="2013-01-01T10:00:00Z",
            max="2014-01-01T04:00:00Z" if december else "2013-12-01T04:00:00Z",
            quantiles={"0.25": "2013-04-04T17:00:00Z", "0.5": "2013-07-03T14:00:00Z", "0.75": "2013-10-01T11:00:00Z"},
            histogram=Histogram(
                low="2013-01-01T10:00:00Z",
                high="2014-01-01T04:00:00Z",
                counts=[27, 24, 28, 28, 28, 28, 29, 29, 27, 28, 27, 28],
            ),
        ),
    ]
    weather_columns = [
        _text("origin", 0, 3, [("JFK", 8_706), ("LGA", 8_706), ("EWR", 8_703)], (3, 3, 3.0)),
        Column(
            name="time_hour",
            type="timestamp with time zone",
            nullable=False,
            nulls=0,
            distinct=8_735,
            distinct_method="hll",
            min="2013-01-01T06:00:00Z",
            max="2013-12-30T23:00:00Z",
        ),
        _number(
            "temp",
            "double",
            1,
            174,
            [10.94, 26.96, 39.92, 55.4, 69.98, 82.94, 100.04],
            55.26,
            17.79,
            [3, 8, 20, 40, 61, 70, 64, 55, 58, 66, 71, 75, 68, 52, 31, 15, 6, 2, 1],
        ),
        _number(
            "wind_gust",
            "double",
            20_778,
            37,
            [16.11, 17.26, 20.71, 24.17, 28.77, 36.83, 66.75],
            25.49,
            5.95,
            [30, 42, 55, 40, 30, 21, 12, 8, 4, 2, 1, 1, 0, 0, 1],
        ),
        _number(
            "precip", "double", 0, 55, [0, 0, 0, 0, 0, 0.02, 1.21], 0.0045, 0.03, [260, 3, 2, 1, 1, 1, 0, 0, 0, 0, 1]
        ),
    ]
    planes_columns = [
        _text("tailnum", 0, 3_322, [("N10156", 1), ("N102UW", 1), ("N103US", 1)], (5, 6, 5.99)),
        _number(
            "year",
            "integer",
            70,
            46,
            [1956, 1987, 1997, 2001, 2005, 2011, 2013],
            2000.48,
            7.19,
            [1, 1, 1, 2, 2, 1, 2, 6, 22, 41, 30, 28, 25, 60, 90, 80, 64, 51, 40],
        ),
        _text(
            "manufacturer",
            0,
            35,
            [("BOEING", 1_630), ("AIRBUS INDUSTRIE", 400), ("BOMBARDIER INC", 368), ("AIRBUS", 336), ("EMBRAER", 299)],
            (4, 29, 9.2),
        ),
        _number(
            "seats",
            "integer",
            0,
            48,
            [2, 20, 140, 149, 182, 222, 450],
            154.32,
            73.65,
            [40, 5, 130, 3, 28, 80, 3, 150, 235, 27, 260, 105],
        ),
        _number(
            "speed",
            "integer",
            3_299,
            13,
            [90, 98, 107, 162, 432, 432, 432],
            236.78,
            149.76,
            [7, 4, 3, 0, 4, 0, 0, 1, 0, 1, 0, 8],
        ),
    ]
    airports_columns = [
        _text("faa", 0, 1_458, [("04G", 1), ("06A", 1), ("06C", 1)], (3, 3, 3.0)),
        _text(
            "name",
            0,
            1_440,
            [
                ("Municipal Airport", 5),
                ("All Airports", 3),
                ("Jefferson County Intl", 2),
                ("Grand Canyon West Airport", 1),
            ],
            (4, 48, 18.7),
        ),
        _number(
            "lat",
            "double",
            0,
            1_456,
            [19.72, 26.5, 34.26, 40.09, 45.07, 61.6, 72.27],
            41.65,
            10.57,
            [8, 1, 20, 50, 110, 160, 180, 130, 60, 20, 40, 12, 4],
        ),
        _text(
            "tzone",
            3,
            9,
            [
                ("America/New_York", 519),
                ("America/Chicago", 342),
                ("America/Anchorage", 239),
                ("America/Los_Angeles", 176),
                ("America/Denver", 119),
            ],
            (14, 19, 15.9),
        ),
    ]
    airlines_columns = [
        _text("carrier", 0, 16, [("9E", 1), ("AA", 1), ("AS", 1)], (2, 2, 2.0)),
        _text("name", 0, 16, [("Endeavor Air Inc.", 1), ("JetBlue Airways", 1)], (9, 27, 18.4)),
    ]
    sql = 'SELECT\n  count(*) AS rows,\n  count(*) - count("dep_time") AS c3_nulls\nFROM "flights"'
    orphans = 50_094 if december else 45_010
    findings = [
        Finding(
            id="orphan_foreign_key:flights:tailnum",
            kind="orphan_foreign_key",
            table="flights",
            columns=["tailnum"],
            severity="high",
            rows=orphans,
            query="q7",
            sentence=f"{orphans:,} of {rows - 2_512:,} values name no row of planes.tailnum (for example 'N725MQ').",
            first_seen=BEFORE,
        ),
        Finding(
            id="orphan_foreign_key:flights:dest",
            kind="orphan_foreign_key",
            table="flights",
            columns=["dest"],
            severity="medium",
            rows=7_602,
            query="q8",
            sentence="7,602 values name no row of airports.faa: 'BQN', 'PSE', 'SJU' and 'STT'.",
            first_seen=BEFORE,
        ),
        Finding(
            id="constant_column:flights:year",
            kind="constant_column",
            table="flights",
            columns=["year"],
            severity="low",
            rows=rows,
            query="q2",
            sentence=f"All {rows:,} rows have the value 2013.",
            first_seen=BEFORE,
        ),
    ]
    if december:
        findings.append(
            Finding(
                id="duplicate_key:weather:origin,time_hour",
                kind="duplicate_key",
                table="weather",
                columns=["origin", "time_hour"],
                severity="medium",
                rows=3,
                query="q9",
                sentence="3 rows share their key with another row.",
            )
        )
    queries = [
        Query(
            id="q1",
            sql="SELECT table_name, column_name, data_type\nFROM information_schema.columns\nORDER BY ALL",
            at=AT,
            seconds=0.02,
        )
    ]
    queries += [
        Query(id=f"q{n}", sql=sql.replace("flights", t), at=AT, seconds=0.4 / n)
        for n, t in enumerate(["flights", "weather", "planes", "airports", "airlines"], 2)
    ]
    queries += [
        Query(
            id=f"q{n}",
            sql="SELECT count(*) FROM flights f\nWHERE NOT EXISTS (SELECT 1 FROM planes p WHERE p.tailnum = f.tailnum)",
            at=AT,
            seconds=0.1,
        )
        for n in range(7, 10)
    ]
    tables = [
        Table(
            name="flights",
            schema=None,
            rows=rows,
            kind="table",
            keys=[["year", "month", "day", "carrier", "flight", "origin"]],
            queries=["q2"],
            columns=flights_columns,
            newest=Newest(column="time_hour", value="2013-12-31T23:00:00Z" if december else "2013-11-30T23:00:00Z"),
        ),
        Table(
            name="weather",
            schema=None,
            rows=26_115 if december else 23_971,
            kind="table",
            keys=[],
            queries=["q3"],
            columns=weather_columns,
            newest=Newest(column="time_hour", value="2013-12-30T23:00:00Z"),
        ),
        Table(
            name="planes",
            schema=None,
            rows=3_322,
            kind="table",
            keys=[["tailnum"]],
            primary_key=["tailnum"],
            queries=["q4"],
            columns=planes_columns,
        ),
        Table(
            name="airports",
            schema=None,
            rows=1_458,
            kind="table",
            keys=[["faa"]],
            primary_key=["faa"],
            queries=["q5"],
            columns=airports_columns,
            comment="Airports of the United States and their places.",
        ),
        Table(
            name="airlines",
            schema=None,
            rows=16,
            kind="table",
            keys=[["carrier"], ["name"]],
            primary_key=["carrier"],
            queries=["q6"],
            columns=airlines_columns,
        ),
    ]
    references = [
        Reference(from_=("flights", ["carrier"]), to=("airlines", ["carrier"]), declared=True, orphans=0),
        Reference(from_=("flights", ["origin"]), to=("airports", ["faa"]), declared=True, orphans=0),
        Reference(
            from_=("flights", ["tailnum"]), to=("planes", ["tailnum"]), declared=False, orphans=orphans, query="q7"
        ),
        Reference(from_=("flights", ["dest"]), to=("airports", ["faa"]), declared=False, orphans=7_602, query="q8"),
        Reference(
            from_=("flights", ["origin", "time_hour"]),
            to=("weather", ["origin", "time_hour"]),
            declared=False,
            orphans=1_556,
            query="q9",
        ),
        Reference(from_=("weather", ["origin"]), to=("airports", ["faa"]), declared=True, orphans=0),
    ]
    columns = sum(len(table.columns) for table in tables)
    return Facts(
        engine="duckdb 1.5.6",
        default_schema="main",
        tables=tables,
        references=references,
        findings=findings,
        queries=queries,
        coverage=Coverage(tables=(5, 5), columns=(columns, columns)),
    )


NASTY = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</style><style>*{display:none}</style>",
    "<!-- --!> <!--",
    "{{ 7*7 }}{% raw %}",
    "]]>\u2028\u2029",
    "javascript:alert(1)",
    "a\x00b\x1f\u202ec",
    "é ñ 東京 🚀 ",
    'it\'s "quoted".and.dotted',
    "&lt;b&gt;&amp;",
)


def hostile(texts: Sequence[str] = NASTY, columns_each: int | None = None) -> Facts:
    """Facts whose every text tries to leave the place it is written to.

    Each of *texts* is a table with columns called like all of them; with *columns_each*, one in so many is a table, and
    has so many of them for columns.
    """
    columns = [
        Column(
            name=text,
            type=f"varchar {text}",
            nullable=None,
            nulls=3,
            distinct=40,
            distinct_method="hll",
            min=text,
            max=text,
            top=[(text, 5), (f"{text}2", 4)],
            semantic_type=text,
            pii=text,
            comment=text,
            skipped=text,
            lengths=Lengths(min=1, max=9, mean=2.5),
        )
        for text in texts
    ]
    each = columns_each or len(texts)
    named = texts if columns_each is None else texts[::each]
    tables = [
        Table(
            name=text,
            schema=text,
            rows=100,
            kind="table",
            keys=[[text]],
            primary_key=[text],
            queries=["q1"],
            columns=columns[index * each : (index + 1) * each] if columns_each else columns,
            comment=text,
            newest=Newest(column=text, value=text),
        )
        for index, text in enumerate(named)
    ]
    first, second = texts[:2]
    return Facts(
        engine=f"engine {first}",
        tables=tables,
        references=[
            Reference(from_=(first, [second]), to=(second, [first]), declared=False, orphans=7, query="q1"),
            Reference(from_=(first, [first]), to=(first, [second]), declared=True, orphans=None),
        ],
        findings=[
            Finding(
                id=f"duplicate_key:{text}",
                kind="duplicate_key",
                table=text,
                columns=[text],
                severity="high",
                rows=7,
                query=f"q{number}",
                sentence=text,
            )
            for number, text in enumerate(texts, start=1)
        ],
        queries=[Query(id=f"q{number}", sql=text, at=AT, seconds=1.0) for number, text in enumerate(texts, start=1)],
        coverage=Coverage(
            tables=(len(tables), len(tables) + 8),
            columns=(sum(len(table.columns) for table in tables), 150 + len(tables) * each),
            skipped=[Skipped(table=text, column=text, reason=text) for text in texts],
            sampled=[Sampled(table=text, rows=10, of=None, method=text) for text in texts],
        ),
    )


def large(tables: int, columns: int) -> Facts:
    """Facts of *tables* tables with *columns* columns each, every one fully profiled."""
    template = flights().tables[0].column_by_name["arr_delay"]
    top = [(float(n) * 1.25, 1_000 - n) for n in range(8)]
    made = [
        Table(
            name=f"table_{t}",
            schema=None,
            rows=1_000_000,
            kind="table",
            keys=[["column_0"]],
            primary_key=["column_0"],
            queries=[f"q{t + 1}"],
            columns=[
                template.model_copy(
                    update={"name": f"column_{c}", "mean": 12.639070257304708 + c, "std": 40.21006089212995, "top": top}
                )
                for c in range(columns)
            ],
        )
        for t in range(tables)
    ]
    references = [
        Reference(
            from_=(f"table_{t}", ["column_1"]),
            to=(f"table_{(t * 7 + 3) % (t or 1)}", ["column_0"]),
            declared=t % 3 > 0,
            orphans=0,
        )
        for t in range(1, tables)
    ]
    queries = [
        Query(
            id=f"q{t + 1}",
            sql="SELECT " + ", ".join(f"min(c{c}) AS c{c}_min" for c in range(columns)),
            at=AT,
            seconds=0.2,
        )
        for t in range(tables)
    ]
    return Facts(
        engine="postgres 15.4",
        tables=made,
        references=references,
        queries=queries,
        coverage=Coverage(tables=(tables, tables), columns=(tables * columns, tables * columns)),
    )


def claim(name: str, value: int | float | str, query: str = "q2") -> Claim:
    """A claim as ``fact()`` makes it."""
    return Claim(id=name, value=value, query=query)
