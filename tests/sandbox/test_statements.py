"""Which statements only read: PostgreSQL's own parser says what they are, and a list says what that does."""

import asyncio

import psycopg
import pytest
from postgast import pg_query_pb2

from cataloger_dagster.sandbox.functions import effect
from cataloger_dagster.sandbox.judge import Judge
from cataloger_dagster.sandbox.statements import _EXPRESSIONS, PROBE, refusal
from cataloger_dagster.sandbox.verdict import STATEMENT_LIMIT
from tests.services.postgres import Postgres

READ_ONLY, FORBIDDEN, SYNTAX, COMPLEX = "25006", "42501", "42601", "54001"

READING = [
    "",
    "-- nothing",
    "SELECT 1",
    "SELECT 1; SELECT 2;",
    "TABLE orders",
    "VALUES (1), (2)",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT 2 FROM t) SEARCH DEPTH FIRST BY a SET b CYCLE a SET c USING d "
    "SELECT * FROM t",
    "SELECT count(*) FILTER (WHERE a) OVER w, grouping(b) FROM t TABLESAMPLE system (10) REPEATABLE (1) "
    "GROUP BY CUBE (a), ROLLUP (b), GROUPING SETS ((a), ()) "
    "WINDOW w AS (PARTITION BY c ORDER BY d ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) LIMIT 1 OFFSET 2",
    "SELECT (array[1, 2])[1], row(1, 2), CASE WHEN a THEN b END, a::int[], interval '1 day', current_user, "
    "a IS DISTINCT FROM b, x AT TIME ZONE 'utc', extract(year FROM y), EXISTS (SELECT 1), a = ANY (SELECT 1), "
    "coalesce(a, b), greatest(a, b), a IS TRUE, a COLLATE \"C\", f(x => 1), B'101' FROM t AS t (a, b), "
    "LATERAL (SELECT 1) AS z, ROWS FROM (f(1), g(2)) WITH ORDINALITY, f() AS h (a int, b text)",
    "SELECT * FROM xmltable('/a' PASSING b COLUMNS c int PATH 'd' DEFAULT 1, e FOR ORDINALITY)",
    "SELECT * FROM json_table('{}', '$' COLUMNS (a int PATH '$.a', NESTED PATH '$.b' COLUMNS (c int)))",
    "SELECT xmlelement(NAME a, xmlattributes(1 AS b)), xmlserialize(CONTENT x AS text), json_object('a': 1), "
    "json_arrayagg(x), json_value('{}', '$.a' DEFAULT 1 ON EMPTY), x IS JSON",
    "SELECT lineorder.lo_orderkey, lo_revenue FROM lineorder",
    "SELECT ts_rewrite('a'::tsquery, 'b'::tsquery, 'c'::tsquery)",
    "SELECT lo_get(1), currval('s'), random(), pg_sleep(0), pg_total_relation_size('orders')",
    "SELECT 'DROP TABLE orders; SELECT lo_create(0)', $$SELECT nextval('x')$$, \"lo_create\" FROM orders",
    "EXPLAIN (ANALYZE, BUFFERS) SELECT 1",
    "EXPLAIN ANALYZE EXECUTE mine(1)",
    "SHOW ALL",
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE",
    "START TRANSACTION; SAVEPOINT a; ROLLBACK TO a; RELEASE a; COMMIT; ROLLBACK; END; ABORT",
    "SET TRANSACTION READ ONLY",
    "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET default_transaction_read_only = on; SET transaction_read_only TO true; SET LOCAL transaction_read_only = 1",
    "SET search_path = a, b; SET LOCAL statement_timeout = 0; SET TIME ZONE 'UTC'; RESET timezone; SET jit = off",
    "SET enable_seqscan TO DEFAULT; SET DateStyle = 'ISO'; SET NAMES 'utf-8'; SET XML OPTION DOCUMENT",
    "SELECT set_config('search_path', '', false), pg_catalog.set_config('TimeZone', 'UTC', true)",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1; FETCH ALL FROM c; MOVE c; CLOSE ALL",
    "PREPARE mine (int) AS SELECT $1; EXECUTE mine (1); DEALLOCATE ALL",
    "COPY orders TO STDOUT; COPY (SELECT 1) TO STDOUT WITH (FORMAT csv)",
    "DISCARD PLANS; DISCARD TEMP",
    f'BEGIN READ WRITE; CREATE TABLE "a b".{PROBE} (); ROLLBACK',
]


@pytest.mark.parametrize("sql", READING)
def test_what_reads_is_let_through(sql: str) -> None:
    assert refusal(sql.encode()) is None


NOT_READING = [
    # Statements, and what they hide in
    "INSERT INTO orders VALUES (1)",
    "SELECT 1; DELETE FROM orders",
    "SELECT 1; /* ; */ -- ;\nDELETE FROM orders",
    "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
    "SELECT * FROM (WITH x AS (UPDATE orders SET a = 1 RETURNING *) TABLE x) AS y",
    "MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE",
    "SELECT * INTO mine FROM orders",
    "SELECT 1 UNION (SELECT 2 FROM orders FOR UPDATE)",
    "SELECT * FROM orders FOR KEY SHARE",
    "EXPLAIN ANALYZE DELETE FROM orders",
    "EXPLAIN CREATE TABLE mine AS SELECT 1",
    "PREPARE mine AS DELETE FROM orders",
    "DECLARE c CURSOR FOR SELECT * FROM orders FOR UPDATE",
    "COPY orders FROM STDIN",
    "COPY orders TO '/tmp/mine'",
    "COPY orders TO PROGRAM 'mine'",
    "COPY (DELETE FROM orders RETURNING *) TO STDOUT",
    "CREATE TEMPORARY VIEW mine AS SELECT 1",
    "DO $$ BEGIN END $$",
    "CALL mine()",
    "NOTIFY mine",
    "LISTEN mine",
    "UNLISTEN *",
    "LOCK orders",
    "LOAD 'mine'",
    "VACUUM",
    "CHECKPOINT",
    "ALTER ROLE CURRENT_USER PASSWORD 'mine'",
    "ALTER ROLE CURRENT_USER SET work_mem = '1GB'",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "DROP OWNED BY CURRENT_USER",
    "GRANT reader TO somebody",
    # Transactions
    "BEGIN READ WRITE",
    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
    "BEGIN; SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "PREPARE TRANSACTION 'mine'",
    "COMMIT PREPARED 'mine'",
    "ROLLBACK PREPARED 'mine'",
    # Settings
    "SET default_transaction_read_only = off",
    "SET default_transaction_read_only = 0",
    "SET default_transaction_read_only TO DEFAULT",
    "RESET default_transaction_read_only",
    'SET LOCAL "Transaction_Read_Only" = false',
    "SET standard_conforming_strings = off",
    "SET ROLE somebody",
    "SET SESSION AUTHORIZATION somebody",
    "SET session_replication_role = replica",
    "SET work_mem = '1TB'",
    "SET shop.tenant = '2'",
    "SET client_encoding = 'SJIS'",
    "SET NAMES 'GBK'",
    "RESET ALL",
    "DISCARD ALL",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    "SELECT set_config('default_' || 'transaction_read_only', 'off', false)",
    "SELECT set_config(new_value => 'off', setting_name => 'transaction_read_only', is_local => true)",
    "SELECT set_config('client_encoding', 'SJIS', false)",
    "SELECT set_config($1, $2, false)",
    # The probe, and no more
    f"CREATE TABLE mine.{PROBE} ()",
    f"BEGIN READ WRITE; CREATE TABLE mine.{PROBE} (); COMMIT",
    f"BEGIN READ WRITE; CREATE TABLE mine.{PROBE} (); ROLLBACK AND CHAIN",
    f"BEGIN READ WRITE; CREATE TABLE mine.{PROBE} (); ROLLBACK TO a",
    f"BEGIN READ WRITE; CREATE TABLE mine.{PROBE} (x int DEFAULT lo_create(0)); ROLLBACK",
    f"BEGIN READ WRITE; CREATE TABLE mine.{PROBE} () INHERITS (orders); ROLLBACK",
    f"BEGIN READ WRITE; CREATE TABLE IF NOT EXISTS mine.{PROBE} (); ROLLBACK",
    f"BEGIN READ WRITE; CREATE UNLOGGED TABLE mine.{PROBE} (); ROLLBACK",
    f"BEGIN READ WRITE; CREATE TABLE mine.{PROBE} () TABLESPACE x; ROLLBACK",
    "BEGIN READ WRITE; CREATE TABLE mine.other (); ROLLBACK",
    f"BEGIN READ WRITE; CREATE TABLE mine.{PROBE} (); ROLLBACK; SELECT 1",
]


@pytest.mark.parametrize("sql", NOT_READING)
def test_what_does_not_read_is_refused(sql: str) -> None:
    refused = refusal(sql.encode())
    assert refused is not None
    assert refused.code == READ_ONLY
    assert "refused" in refused.text
    assert "read-only" in refused.text


CALLS = [
    "SELECT lo_create(0)",
    'SELECT "lo_create"(0)',
    'SELECT U&"lo\\005fcreate"(0)',
    "SELECT U&\"lo!005fcreate\" UESCAPE '!' (0)",
    "SELECT LO_CREATE /* a */ ( -- b\n 0 )",
    "SELECT pg_catalog.lo_create(0)",
    "SELECT mine.pg_catalog.lo_create(0)",
    "SELECT lo_create(VARIADIC ARRAY[0])",
    "SELECT (0::oid).lo_create",
    "SELECT ((0::oid)).lo_unlink.text",
    "SELECT x.lo_unlink FROM f() AS x",
    "SELECT * FROM lo_create(0)",
    "SELECT * FROM ROWS FROM (f(), lo_create(0))",
    "SELECT * FROM a, LATERAL lo_create(a.x)",
    "SELECT 1 FROM a JOIN b ON lo_create(0) = 1",
    "SELECT 1 WHERE lo_create(0) > 0",
    "SELECT 1 GROUP BY lo_create(0)",
    "SELECT 1 HAVING lo_create(0) > 0",
    "SELECT 1 ORDER BY lo_create(0)",
    "SELECT 1 LIMIT lo_create(0)",
    "SELECT 1 OFFSET lo_create(0)",
    "SELECT DISTINCT ON (lo_create(0)) 1",
    "SELECT sum(a ORDER BY lo_create(0)) FILTER (WHERE lo_create(0) > 0) OVER (ORDER BY lo_create(0)) FROM b",
    "SELECT CASE WHEN false THEN lo_create(0) END",
    "SELECT ARRAY[lo_create(0)]",
    "SELECT (array[1])[lo_create(0)]",
    "SELECT EXISTS (SELECT lo_create(0))",
    "SELECT xmlelement(NAME a, lo_create(0))",
    "SELECT json_value('{}', '$.a' DEFAULT lo_create(0) ON EMPTY)",
    "SELECT * FROM a TABLESAMPLE system (lo_create(0))",
    "VALUES (lo_create(0))",
    "WITH x AS MATERIALIZED (SELECT lo_create(0)) SELECT 1",
    "EXPLAIN ANALYZE SELECT lo_create(0)",
    "EXECUTE mine (lo_create(0))",
    "EXPLAIN EXECUTE mine (lo_create(0))",
    "PREPARE mine AS SELECT lo_create($1)",
    "DECLARE c CURSOR FOR SELECT lo_create(0)",
    "COPY (SELECT lo_create(0)) TO STDOUT",
    "SELECT nextval('s'), setval('s', 1)",
    "SELECT pg_notify('a', 'b')",
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT query_to_xml('SELECT 1', true, true, '')",
    "SELECT * FROM ts_stat('SELECT 1')",
    "SELECT ts_rewrite('a', 'SELECT 1')",
    "SELECT dblink_exec('a', 'b')",
    "SELECT * FROM mine.crosstab('SELECT 1') AS a (b int)",
    "SELECT pg_export_snapshot()",
    "SELECT pg_create_logical_replication_slot('a', 'b')",
    "SELECT pg_terminate_backend(1)",
    "SELECT lo_unl\u0130nk(0)",
]  # fmt: skip


@pytest.mark.parametrize("sql", CALLS)
def test_a_function_that_does_more_than_read_is_refused_wherever_it_stands_and_however_it_is_written(sql: str) -> None:
    refused = refusal(sql.encode())
    assert refused is not None
    assert refused.code == FORBIDDEN
    assert "() " in refused.text


def test_a_letter_that_is_no_utf8_is_a_letter() -> None:
    assert refusal("SELECT 'é', \"é\"".encode("latin-1")) is None
    assert refusal("SELECT 'é', lo_create(0)".encode("latin-1"))
    assert refusal("SELECT lo_unlİnk(0)".encode("iso8859-9"))


def test_what_cannot_be_parsed_is_told_as_the_server_would_with_the_place() -> None:
    refused = refusal("SELECT 'é', selec selec selec".encode())
    assert refused is not None
    assert (refused.code, refused.text, refused.place) == (SYNTAX, 'syntax error at or near "selec"', 25)
    assert refused.hint


def test_a_statement_that_ends_too_soon_is_told_so_with_its_end_as_the_place() -> None:
    refused = refusal("SELECT 'é' FROM".encode())
    assert refused is not None
    assert (refused.text, refused.place) == ("syntax error at end of input", 16)


@pytest.mark.parametrize("sql", [" UNION ALL ".join(["SELECT 1"] * 150), "SELECT " + " || ".join("a" * 150)])
def test_what_is_long_and_reads_is_let_through(sql: str) -> None:
    assert refusal(sql.encode()) is None


def test_what_a_query_may_hold_without_its_name_may_stand_in_it_by_name() -> None:
    nodes = {field.message_type.name: field.message_type for field in pg_query_pb2.Node.DESCRIPTOR.fields}
    assert nodes.keys() >= _EXPRESSIONS
    unnamed = {
        (name, field.json_name)
        for name in _EXPRESSIONS
        for field in nodes[name].fields
        if field.message_type and field.message_type.name not in _EXPRESSIONS | {"Node"}
    }
    assert unnamed == {("SelectStmt", "intoClause")}  # which is refused
    fields = [field.json_name for node in nodes.values() for field in node.fields]
    assert [name for name in fields if name[0].isupper()] == []


@pytest.mark.parametrize("sql", ["SELECT " + "1+" * 30_000 + "1", "SELECT " + "(SELECT " * 9_000 + "1" + ")" * 9_000])
def test_what_is_nested_too_deeply_is_refused(sql: str) -> None:
    refused = refusal(sql.encode())
    assert refused is not None
    assert refused.code in (SYNTAX, COMPLEX)


def test_what_is_too_deep_for_the_parser_itself_is_refused_and_the_next_statement_is_looked_at() -> None:
    async def asked() -> None:
        judge = Judge()
        try:
            refused = await judge.refusal(("SELECT " + "1+" * (STATEMENT_LIMIT // 2 - 10) + "1").encode())
            assert refused is not None
            assert refused.code == COMPLEX
            assert await judge.refusal(b"SELECT 1") is None
        finally:
            judge.close()

    asyncio.run(asked())


@pytest.mark.parametrize("name", ['a", "FuncCall": {"', "\\", "\x01\n\t\x7f", "\\u0000", "é\U0001f600"])
def test_no_name_hides_what_follows_it(name: str) -> None:
    quoted = name.replace('"', '""')
    assert refusal(f"""SELECT "{quoted}", '{name}' FROM orders""".encode()) is None
    for sql in (f"""SELECT "{quoted}", lo_create(0)""", f"""SELECT '{name}', lo_create(0)"""):
        refused = refusal(sql.encode())
        assert refused is not None
        assert refused.code == FORBIDDEN


HARMLESS = """\
    amvalidate array_sample array_shuffle clock_timestamp current_query currtid currtid2 currval gen_random_uuid
    lastval lo_get pg_available_wal_summaries pg_blocking_pids pg_collation_actual_version pg_control_checkpoint
    pg_control_init pg_control_recovery pg_control_system pg_current_logfile pg_current_wal_flush_lsn
    pg_current_wal_insert_lsn pg_current_wal_lsn pg_database_collation_actual_version pg_database_size pg_get_aios
    pg_get_backend_memory_contexts pg_get_loaded_modules pg_get_multixact_members pg_get_sequence_data
    pg_get_shmem_allocations pg_get_shmem_allocations_numa pg_get_wait_events pg_get_wal_replay_pause_state
    pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_hba_file_rules pg_ident_file_mappings pg_indexes_size
    pg_is_in_backup pg_is_in_recovery pg_is_wal_replay_paused pg_isolation_test_session_is_blocked pg_jit_available
    pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_lock_status
    pg_notification_queue_usage pg_partition_ancestors pg_partition_tree pg_prepared_xact pg_relation_size
    pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_show_all_file_settings pg_show_replication_origin_status
    pg_sleep pg_sleep_for pg_sleep_until pg_stat_clear_snapshot pg_stat_force_next_flush pg_stat_get_backend_io
    pg_stat_get_backend_wal pg_stat_get_io pg_stat_get_recovery_prefetch pg_stat_have_stats pg_table_size
    pg_tablespace_size pg_total_relation_size pg_wal_summary_contents pg_xact_commit_timestamp
    pg_xact_commit_timestamp_origin pg_xact_status plpgsql_validator random random_normal setseed timeofday timezone
    txid_status uuidv4 uuidv7
"""
"""Volatile functions that change nothing, but what the session itself sees."""


@pytest.mark.postgres
def test_every_volatile_function_of_the_server_is_known_to_be_harmless_or_refused(postgres: Postgres) -> None:
    query = """SELECT proname, max(pronargs) FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
        AND provolatile = 'v' AND prorettype::regtype::text NOT IN ('trigger', 'event_trigger', 'internal')
        AND NOT 'internal'::regtype = ANY (proargtypes) AND proname <> 'set_config' GROUP BY 1"""
    with psycopg.connect(postgres.url) as driver:
        found = dict(driver.execute(query).fetchall())
    assert len(found) > 150
    harmless = HARMLESS.split()
    unknown = {
        name
        for name, arguments in found.items()
        if not effect(name, 2 if name == "ts_rewrite" else arguments)
        and name not in harmless
        and not name.startswith("pg_stat_get_xact_")
    }
    assert unknown == set()
    assert [name for name in harmless if effect(name, 1)] == []
