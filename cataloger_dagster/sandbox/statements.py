"""What of SQL only reads: which statements a sandbox may send to PostgreSQL, which settings it may make.

A statement is read by PostgreSQL's own parser (``postgast`` carries it) and let through if every node of its tree
is known to read; the functions that nevertheless do something are in ``functions``. What can't be seen in a
statement is not judged: what a function or a view of the database's own does, and an operator's or a cast's
function. Those run in a transaction that is read-only, which nothing let through here can change. This module is
loaded by the process that ``judge`` starts.
"""

import json
import re
import resource
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from postgast.errors import PgQueryError, check_error
from postgast.native import lib

from cataloger_dagster.sandbox.client_settings import encoding_is_read_alike, may_be_set
from cataloger_dagster.sandbox.functions import effect, folded
from cataloger_dagster.sandbox.verdict import Refusal, pack

PROBE = "cataloger_probe"
"""The table that the pre-flight tries to make, in a statement that takes it back."""

WRITES, FORBIDDEN, SYNTAX, TOO_LONG = "25006", "42501", "42601", "54001"
"""SQLSTATEs: read_only_sql_transaction, insufficient_privilege, syntax_error, statement_too_complex."""

_NODES = """\
    A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Alias BitString BoolExpr Boolean BooleanTest
    CTECycleClause CTESearchClause CaseExpr CaseWhen CoalesceExpr CollateClause ColumnDef ColumnRef
    CommonTableExpr DefElem Float FuncCall GroupingFunc GroupingSet Integer JoinExpr JsonAggConstructor
    JsonArgument JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior JsonFormat
    JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput JsonParseExpr
    JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn JsonTablePathSpec JsonValueExpr
    List MinMaxExpr NamedArgExpr NullTest ParamRef RangeFunction RangeSubselect RangeTableFunc
    RangeTableFuncCol RangeTableSample RangeVar ResTarget RowExpr SQLValueFunction SelectStmt SetToDefault
    SortBy String SubLink TypeCast TypeName WindowDef WithClause XmlExpr XmlSerialize
"""
_EXPRESSIONS = frozenset(_NODES.split())
"""What a query may consist of, as PostgreSQL's parser calls it."""

_READ_ONLY = frozenset({"default_transaction_read_only", "transaction_read_only"})
_TRUE = frozenset({"on", "true", "yes", "1"})

_TRANSACTIONS = frozenset(
    f"TRANS_STMT_{kind}" for kind in ("BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "ROLLBACK_TO")
)

_PREPARED = {
    "TRANS_STMT_PREPARE": "PREPARE TRANSACTION",
    "TRANS_STMT_COMMIT_PREPARED": "COMMIT PREPARED",
    "TRANS_STMT_ROLLBACK_PREPARED": "ROLLBACK PREPARED",
}

_GRAMMAR = "Statements are looked at by PostgreSQL 18's grammar before they are sent; nothing was run."

_NAMES = {
    "AlterDefaultPrivilegesStmt": "ALTER DEFAULT PRIVILEGES",
    "AlterRoleSetStmt": "ALTER ROLE … SET",
    "CheckPointStmt": "CHECKPOINT",
    "CreateStmt": "CREATE TABLE",
    "CreateTableAsStmt": "CREATE TABLE AS",
    "DiscardStmt": "DISCARD ALL",
    "DropOwnedStmt": "DROP OWNED",
    "GrantRoleStmt": "GRANT or REVOKE of a role",
    "GrantStmt": "GRANT or REVOKE",
    "VacuumStmt": "VACUUM or ANALYZE",
    "ViewStmt": "CREATE VIEW",
}


_MEMORY = 1 << 30  # bytes of address space of the process
_DEPTH = 20_000


class _Refused(Exception):
    def __init__(self, what: str, code: str = WRITES) -> None:
        super().__init__(what)
        self.refusal = Refusal(code, f"{what}: nothing was run, for this connection is read-only")


def refusal(sql: bytes) -> Refusal | None:
    """Return why *sql*, one or more statements, is not let through; null if each of them only reads."""
    try:
        text = sql.decode()
    except UnicodeDecodeError:
        # Other encodings that we let a client choose: what is no ASCII is a letter, whichever it is.
        text = sql.decode("latin-1")
    try:
        statements = _parsed(text)
        if not _is_probe(statements):
            for statement in statements:
                _judge(statement)
    except PgQueryError as error:
        return Refusal(SYNTAX, error.message, error.cursorpos or None, _GRAMMAR)
    except (RecursionError, MemoryError):
        return Refusal(TOO_LONG, "the statement is nested too deeply to be read: nothing was run; write a simpler one")
    except _Refused as refused:
        return refused.refusal
    return None


def _parsed(text: str) -> list[Mapping[str, Any]]:
    """Return the statements in *text* as libpg_query's JSON has them: ``{"SelectStmt": {field: value}}``.

    The JSON, and not ``postgast.parse``: protobuf reads no more than 100 levels, which a UNION of 100 tables has.

    Raises:
        PgQueryError: a syntax error; ``cursorpos`` is its place in characters, from 1.
    """
    result = lib.pg_query_parse(text.encode())
    try:
        check_error(result)
        tree = json.loads(result.parse_tree)
    finally:
        lib.pg_query_free_parse_result(result)
    return [each.get("stmt", {}) for each in tree.get("stmts", ())]


def _judge(statement: Mapping[str, Any]) -> None:
    """Look at one statement; raises ``_Refused``."""
    kind, body = _only(statement)
    match kind:
        case "SelectStmt" | "ExecuteStmt" | "FetchStmt" | "ClosePortalStmt" | "DeallocateStmt" | "VariableShowStmt":
            _read(body)
        case "PrepareStmt" | "DeclareCursorStmt":
            _nested(body, "query", {"SelectStmt"})
        case "ExplainStmt":
            _nested(body, "query", {"SelectStmt", "ExecuteStmt", "DeclareCursorStmt"})
        case "CopyStmt":
            if body.get("is_from") or body.get("is_program") or "filename" in body:
                raise _Refused("COPY, except TO STDOUT, is refused")
            _read(body)
        case "DiscardStmt" if body.get("target") != "DISCARD_ALL":
            pass
        case "TransactionStmt":
            _transaction(body)
        case "VariableSetStmt":
            _setting(body)
        case _:
            raise _Refused(f"{_name(kind)} is refused")


def _nested(body: Mapping[str, Any], field: str, allowed: set[str]) -> None:
    inner = body.get(field, {})
    kind, _ = _only(inner)
    if kind not in allowed:
        raise _Refused(f"{_name(kind)} is refused")
    _judge(inner)
    _read({name: value for name, value in body.items() if name != field})


def _read(tree: Mapping[str, Any]) -> None:
    """Look at everything in a query."""
    waiting: list[Any] = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            for name, value in item.items():
                if name == "intoClause":
                    raise _Refused("SELECT INTO is refused")
                if name == "lockingClause":
                    raise _Refused("a SELECT that locks rows (FOR UPDATE, FOR SHARE) is refused")
                # Nodes begin with a capital, and what they hold does not.
                if name[0].isupper() and name not in _EXPRESSIONS:
                    raise _Refused(f"{_name(name)} in a query is refused")
                if name == "FuncCall":
                    _call(value)
                elif name in ("ColumnRef", "A_Indirection"):
                    _column(value)
                waiting.append(value)


def _call(body: Mapping[str, Any]) -> None:
    name = folded(_strings(body.get("funcname", ()))[-1])
    arguments = body.get("args", ())
    if name == "set_config":
        setting = _text(arguments[0]) if arguments else None
        if setting is None or setting.lower() == "client_encoding" or not may_be_set(setting):
            raise _Refused(
                "set_config of anything but a setting of how values are shown and queries planned is refused"
            )
        return
    _function(name, len(arguments))


def _column(body: Mapping[str, Any]) -> None:
    # As a column, a function of one argument can be called too: (x).name is name(x).
    qualified = body.get("indirection") or body.get("fields", ())[1:]
    for name in _strings(qualified):
        _function(name, 1)


def _function(name: str, arguments: int) -> None:
    if found := effect(name, arguments):
        raise _Refused(f"{name}() {found}, and is refused", FORBIDDEN)


def _transaction(body: Mapping[str, Any]) -> None:
    kind = str(body.get("kind"))
    if kind not in _TRANSACTIONS:
        raise _Refused(f"{_PREPARED.get(kind, kind)} is refused")
    if body.get("chain"):
        # It hands on what the transaction before was, and the pre-flight's is no read-only one.
        raise _Refused("AND CHAIN is refused")
    _modes(body.get("options", ()))


def _modes(options: Sequence[Mapping[str, Any]]) -> None:
    for option in options:
        _, mode = _only(option)
        name = mode.get("defname")
        if name == "transaction_read_only":
            if _text(mode.get("arg", {})) != "1":
                raise _Refused("READ WRITE is refused")
        elif name not in ("transaction_isolation", "transaction_deferrable"):
            raise _Refused(f"{name} of a transaction is refused")


def _setting(body: Mapping[str, Any]) -> None:
    kind, name = str(body.get("kind")), str(body.get("name", "")).lower()
    values = [_text(each) for each in body.get("args", ())]
    if kind == "VAR_SET_MULTI" and name in ("transaction", "session characteristics"):
        _modes(body.get("args", ()))
        return
    if kind == "VAR_SET_MULTI" and name == "transaction snapshot":
        return  # another's view of the data, to read it
    if kind == "VAR_RESET_ALL":
        raise _Refused("RESET ALL is refused; reset a setting by its name")
    if kind == "VAR_SET_VALUE" and name in _READ_ONLY and {str(each).lower() for each in values} <= _TRUE:
        return
    if kind not in ("VAR_SET_VALUE", "VAR_SET_DEFAULT", "VAR_RESET") or not may_be_set(name):
        raise _Refused(f"a change of the setting {name!r} is refused")
    if name == "client_encoding" and not all(encoding_is_read_alike(str(each)) for each in values):
        raise _Refused(f"the client encoding {values[0]} is refused; use UTF8")


def _is_probe(statements: Sequence[Mapping[str, Any]]) -> bool:
    """Whether it is the pre-flight's CREATE TABLE: in one message with the ROLLBACK that takes it back."""
    if [next(iter(each), "") for each in statements] != ["TransactionStmt", "CreateStmt", "TransactionStmt"]:
        return False
    begin, create, end = (_only(each)[1] for each in statements)
    relation = dict(create.get("relation", {}))
    relation.pop("location", None)
    relation.pop("schemaname", None)
    return (
        begin.get("kind") == "TRANS_STMT_BEGIN"
        and end.get("kind") == "TRANS_STMT_ROLLBACK"
        and not end.get("chain")
        and create.keys() == {"relation", "oncommit"}
        and relation == {"relname": PROBE, "inh": True, "relpersistence": "p"}
    )


def _only(node: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    ((kind, body),) = node.items()
    return kind, body


def _strings(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(node["String"].get("sval", "")) for node in nodes if "String" in node]


def _text(node: Mapping[str, Any]) -> str | None:
    """Return a constant as text, null if *node* is none."""
    constant = node.get("A_Const")
    if constant is None:
        return None
    for kind, default in (("sval", ""), ("ival", "0"), ("fval", ""), ("boolval", "")):
        if kind in constant:
            return str(constant[kind].get(kind, default))
    return None


def _name(kind: str) -> str:
    """Return what people call a statement."""
    return _NAMES.get(kind) or " ".join(re.findall("[A-Z][a-z]*", kind.removesuffix("Stmt"))).upper()


def main() -> None:
    """Judge what comes over the socket that is this process's standard input, until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(_DEPTH)
    with socket.socket(fileno=0) as link, link.makefile("rb") as questions:
        link.sendall(_framed(None))  # ready
        while head := questions.read(4):
            (length,) = struct.unpack(">I", head)
            link.sendall(_framed(refusal(questions.read(length))))


def _framed(verdict: Refusal | None) -> bytes:
    body = pack(verdict)
    return struct.pack(">I", len(body)) + body


if __name__ == "__main__":
    main()
