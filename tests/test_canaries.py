"""Personal data and secrets planted in every kind of column reach no request, page, record, log or metadata.

The model prints, quotes and submits all it can get hold of, in its own code and page too.
"""

import contextlib
import html
import json
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from faker import Faker

from cataloger_dagster.cataloging import catalog, summarize
from cataloger_dagster.databases import Database
from cataloger_dagster.defs.metadata import report_metadata
from cataloger_dagster.errors import DatabaseError
from cataloger_dagster.prompts import load
from cataloger_dagster.publication import Report
from cataloger_dagster.report.block import read_block
from cataloger_dagster.sandbox.local import LocalSandbox, isolated
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.urls import FileURL
from cataloger_dagster.verification import verify
from tests.agent.in_process import InProcessSandbox
from tests.services.postgres import Postgres
from tests.test_cataloging import ScriptedModel, cell, submit

ROWS = 30
NAMED = ["Charlotte Ashworth", "Lukas Hofstädter", "Zofia Wiśniewska", "Jürgen van der Meer", "Mrs Featherstonehaugh"]
"""Persons whom no column holds: free text names them."""
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _secret(rng: random.Random, number: int) -> str:
    tail = "".join(rng.choices(ALPHABET, k=36))
    return [f"gh{'p_'}{tail}", f"AK{'IA'}{tail.upper()[:16]}", f"$2{'b$'}12${tail}{tail[:17]}", f"sk_{'live_'}{tail}"][
        number % 4
    ]


@dataclass
class Planted:
    """A database, the rows in it, and the canaries among them; those of ``secrets`` are never shown."""

    database: Database
    people: list[tuple[Any, ...]]
    texts: list[str]
    personal: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the database's file is."""
        assert isinstance(self.database.address, FileURL)
        return self.database.address.path.parent


COLUMNS = (
    "id INTEGER PRIMARY KEY, full_name VARCHAR(99), email VARCHAR(99), phone VARCHAR(99), address VARCHAR(199), "
    "card VARCHAR(99), iban VARCHAR(99), ssn VARCHAR(99), misc VARCHAR(99), date_of_birth DATE, mobile BIGINT, "
    "api_key VARCHAR(99)"
)
VIEW = "CREATE VIEW contacts AS SELECT full_name, email, upper(full_name) AS loud FROM customers"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    faker, rng = Faker("en_GB"), random.Random(5)
    faker.seed_instance(5)
    path = tmp_path_factory.mktemp("canaries") / "people.duckdb"
    people = [
        (
            number,
            faker.unique.name(),
            f"{faker.user_name()}{number}@canary.example",
            faker.numerify("+44 20 79## ####"),
            faker.unique.street_address().replace("\n", ", "),
            faker.credit_card_number("visa"),
            faker.iban(),
            faker.unique.numerify("2##-4#-7###"),
            faker.unique.ipv4_public(),
            faker.date_of_birth(minimum_age=20).isoformat(),
            int(faker.numerify("4479########")),
            _secret(rng, number),
        )
        for number in range(ROWS)
    ]
    texts = [
        f"note {number}: {lead} {value} {_end}"
        for number, (lead, value, _end) in enumerate(
            [("write to", f"free{n}.text@canary.example", "soon") for n in range(10)]
            + [("call", faker.numerify("+44 161 496 0###"), "at noon") for _ in range(5)]
            + [("paid by card", faker.credit_card_number("mastercard"), "in May") for _ in range(5)]
            + [("the key is", _secret(rng, n), "for now") for n in range(8)]
            + [("met", person[1], "at the desk") for person in people[:5]]
            + [("a letter came from", person, "about the boots") for person in NAMED]
        )
    ]
    planted = Planted(Database.from_url(f"duckdb://{path}"), people, texts)
    for person in people:
        planted.personal += [str(value) for value in person[1:11]]
        planted.secrets.append(person[11])
    for text in texts:
        word = text.split(": ", 1)[1]
        found = [each for each in word.split() if "@" in each or each.isdigit()]
        planted.personal += [each for each in found if len(each) > 6]
        planted.secrets += [each for each in word.split() if each.startswith(("gh", "AK", "$2", "sk_"))]
    planted.personal += NAMED
    with duckdb.connect(str(path)) as con:
        con.execute(f"CREATE TABLE customers ({COLUMNS})")
        con.executemany(f"INSERT INTO customers VALUES ({', '.join('?' * 12)})", people)
        con.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, customer_id INTEGER, body VARCHAR)")
        con.executemany("INSERT INTO notes VALUES (?, ?, ?)", [(i, i % ROWS, text) for i, text in enumerate(texts)])
        con.execute(VIEW)
        con.execute(f"COMMENT ON COLUMN notes.body IS 'as {people[3][1]} ({people[3][2]}) said'")
    return planted


READ = """
import json, warnings
warnings.simplefilter("ignore")
from pandas import option_context
rows = {name: con.table(name).execute() for name in ('customers', 'notes', 'contacts')}
with option_context('display.max_rows', None, 'display.max_columns', None, 'display.max_colwidth', None, 'display.width', 500):
    for name, frame in rows.items():
        print(frame.head(15))
"""
CELLS = [
    READ,
    "print(rows['customers'].T.to_string()[:19000])",
    "print([tuple(row) for row in rows['customers'].itertuples()][:12])",
    "print(rows['customers'].to_csv()[:9000]); print(rows['notes'].body.tolist())",
    "print(json.dumps(rows['customers'].astype(str).to_dict('records')[:12], ensure_ascii=True))",
    "for c in rows['customers'].columns: print(c, con.sql(f'SELECT min({c}) a, max({c}) b, mode({c}) c FROM customers').execute())",
    "print(con.sql('SELECT string_agg(full_name, chr(10)) a, string_agg(email, chr(59)) b FROM customers').execute().iloc[0].tolist())",
    "facts",
    "print(json.dumps(facts.raw)[:19000])",
    "print(json.dumps(facts.raw)[19000:60000])",
    "raise ValueError(str(rows['customers'].iloc[0].tolist()))",
    "con.raw_sql('SELECT CAST(email AS INTEGER) FROM customers')",
    "con.raw_sql('SELECT CAST(full_name AS DATE) FROM customers')",
    "import sys; print(rows['customers'].phone.tolist(), file=sys.stderr); print(repr(rows['customers'].card.max()))",
    "fact('oldest', 'SELECT min(date_of_birth)::VARCHAR FROM customers', 'of ' + rows['customers'].full_name[1])",
    "fact('first.name', 'SELECT min(full_name) FROM customers')",
]


ELSEWHERE = [
    *CELLS[:5],
    "print(con.sql('SELECT min(full_name) AS a, max(email) AS b, min(body) AS c FROM customers, notes').execute())",
    "facts",
    "print(json.dumps(facts.raw)[:19000])",
    "print(json.dumps(facts.raw)[19000:60000])",
    "raise ValueError(str(rows['customers'].iloc[0].tolist()))",
    "fact('oldest', 'SELECT min(date_of_birth) FROM customers', 'of ' + rows['customers'].full_name[1])",
    "fact('first.name', 'SELECT min(full_name) FROM customers')",
]
"""What is printed of a database of another engine."""
QUOTING = ["con.raw_sql('SELECT CAST(email AS INTEGER) FROM customers')", "con.raw_sql('SELECT body::date FROM notes')"]
"""Errors of PostgreSQL that quote the value."""


def everything_out_of(
    planted: Planted, *, cells: Sequence[str] = CELLS, sandbox: Sandbox | None = None, **how: Any
) -> tuple[Report, dict[str, str]]:
    """Catalog the database with a model that gives away all it can, and return every text that left the run."""
    database = planted.database.model_copy(update=how)
    sandbox = sandbox or InProcessSandbox(planted.folder)
    quoted = "\n".join(f"# {value}" for value in [*planted.personal[:40], *planted.secrets[:10]])
    page = "".join(
        f'<p title="{html.escape(value)}">{html.escape(value)} {"".join(f"&#{ord(c)};" for c in value)} '
        f"<b>{html.escape(value[:4])}</b>{html.escape(value[4:])}</p><!-- {value} -->"
        for value in [*planted.personal, *planted.secrets]
    )
    told: list[str] = []
    model = ScriptedModel(
        *map(cell, cells),
        cell(quoted + "\nprint('quoted')"),
        cell(
            "from pathlib import Path; Path('page.html').write_text('<p>' + '</p><p>'.join(rows['customers'].full_name))"
        ),
        submit(page + '<fact-value ref="no.such.table">'),
        submit(page + "<fact-table ref='customers'><fact-findings><fact-value ref='oldest'>"),
    )
    report = catalog(database, sandbox=sandbox, model=model, prompt=load("catalog"), progress=told.append)
    summary_model = ScriptedModel(cell("print(history.blocks); print(facts.raw)"), submit("<p>All is well.</p>"))
    summary = summarize(
        database,
        history=[read_block(report.page.html)] * 2,
        sandbox=sandbox,
        model=summary_model,
        prompt=load("summary"),
    )
    texts = {
        "requests": "".join(model.seen),
        "page": report.page.html,
        "script": report.script,
        "transcript": report.transcript,
        "log": "\n".join(told),
        "metadata": repr(report_metadata(report)),
        "summary": summary.page.html + summary.script + summary.transcript + "".join(summary_model.seen),
    }
    return report, texts


def seen(canaries: Sequence[str], texts: dict[str, str]) -> list[tuple[str, str]]:
    """Return the canaries that stand in *texts*, in any writing that a reader or a parser undoes."""
    found = []
    for place, text in texts.items():
        readings = {text, html.unescape(text), text.replace("\\n", "\n").replace("\\'", "'")}
        for canary in canaries:
            writings = {canary, html.escape(canary), json.dumps(canary)[1:-1]}
            if any(writing in reading for reading in readings for writing in writings):
                found.append((place, canary))
    return found


def test_no_personal_data_and_no_secret_leaves_a_run(planted: Planted) -> None:
    assert len({*planted.personal, *planted.secrets}) >= 200
    report, texts = everything_out_of(planted)
    assert seen([*planted.personal, *planted.secrets], texts) == []
    assert all(name in texts["page"] for name in ("full_name", "date_of_birth", "api_key", "customers"))
    assert report.outcome.ended == "submitted"
    assert sum('"error": "error"' in line for line in report.transcript.splitlines()) == 3, "three cells are to fail"
    standings = {item.standing for item in verify(report.page.html, planted.database, InProcessSandbox(planted.folder))}
    assert standings == {"held"}


def test_no_personal_data_and_no_secret_leaves_a_run_on_sqlite(planted: Planted, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "people.sqlite")) as con:
        con.execute(f"CREATE TABLE customers ({COLUMNS})")
        con.executemany(f"INSERT INTO customers VALUES ({', '.join('?' * 12)})", planted.people)
        con.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, customer_id INTEGER, body VARCHAR)")
        con.executemany("INSERT INTO notes VALUES (?, ?, ?)", [(i, i % ROWS, t) for i, t in enumerate(planted.texts)])
        con.execute(VIEW)
        con.commit()
    database = Database.from_url(f"sqlite://{tmp_path}/people.sqlite")
    _report, texts = everything_out_of(replace(planted, database=database), cells=ELSEWHERE)
    assert seen([*planted.personal, *planted.secrets], texts) == []


def test_no_personal_data_and_no_secret_leaves_a_run_on_postgresql(planted: Planted, postgres: Postgres) -> None:
    url = postgres.new_database("people")
    with psycopg.connect(url) as con, con.cursor() as cursor:
        cursor.execute(f"CREATE TABLE customers ({COLUMNS})")
        cursor.executemany(f"INSERT INTO customers VALUES ({', '.join(['%s'] * 12)})", planted.people)
        cursor.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, customer_id INTEGER, body VARCHAR)")
        cursor.executemany(
            "INSERT INTO notes VALUES (%s, %s, %s)", [(i, i % ROWS, text) for i, text in enumerate(planted.texts)]
        )
        cursor.execute(VIEW)
        cursor.execute(f"COMMENT ON COLUMN notes.body IS 'as {planted.people[3][1]} ({planted.people[3][2]}) said'")
    database = Database.from_url(postgres.new_reader(url))
    report, texts = everything_out_of(
        replace(planted, database=database), cells=[*ELSEWHERE, *QUOTING], sandbox=LocalSandbox(isolated=isolated())
    )
    assert seen([*planted.personal, *planted.secrets], texts) == []
    assert sum('"error": "error"' in line for line in report.transcript.splitlines()) == 3, "three cells are to fail"


def test_secrets_stay_where_all_else_may_be_seen(planted: Planted) -> None:
    _, texts = everything_out_of(planted, privacy="full")
    assert seen(planted.secrets, texts) == []
    assert seen(planted.personal[:40], texts) != []


def test_an_error_that_ends_a_run_quotes_no_value(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise DatabaseError(f"could not convert {planted.personal[1]!r}")

    monkeypatch.setattr("cataloger_dagster.cataloging.look", fail)
    with pytest.raises(DatabaseError, match="could not convert") as caught:
        everything_out_of(planted)
    assert planted.personal[1] not in str(caught.value)
    assert caught.value.__cause__ is None
