"""The settings of a sandbox's connections to PostgreSQL: those made for them, and those that a client may make.

A client may make none by which it could write, or by which the server would read a statement in another way than
``statements`` does.
"""

import re
from collections.abc import Iterable

PASSED = {
    name.lower(): name
    for name in (
        "application_name",
        "client_encoding",
        "DateStyle",
        "IntervalStyle",
        "TimeZone",
        "extra_float_digits",
        "search_path",
    )
}
"""Start-up parameters that a client may choose: how values are written, and where names are looked up. All of
them it could as well SET. The others name a user, a database or a kind of connection, or are settings that a
client makes by SET, if it may."""

STATEMENT_SECONDS = 300
_SETTINGS = {
    "default_transaction_read_only": "on",
    "standard_conforming_strings": "on",  # else a string would end elsewhere for the server than for the guard
    "statement_timeout": f"{STATEMENT_SECONDS}s",
}
SETTINGS = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
SETTINGS_AS_STATEMENT = "; ".join(f"SET {name} = '{value}'" for name, value in _SETTINGS.items())
"""The same for poolers such as PgBouncer, which refuse settings at the start."""

_MAY_BE_SET = re.compile(
    r"""application_name|bytea_output|client_connection_check_interval|client_encoding|client_min_messages
    |constraint_exclusion|cpu_\w+_cost|cursor_tuple_fraction|datestyle|default_statistics_target
    |default_transaction_(deferrable|isolation)|effective_\w+|enable_\w+|extra_float_digits|from_collapse_limit|geqo\w*
    |idle_in_transaction_session_timeout|idle_session_timeout|intervalstyle|jit\w*|join_collapse_limit|lc_monetary
    |lc_numeric|lc_time|lock_timeout|max_parallel_workers_per_gather|min_parallel_\w+_scan_size|parallel_\w+_cost
    |plan_cache_mode|random_page_cost|search_path|seed|seq_page_cost|statement_timeout|timezone
    |transaction_(deferrable|isolation|timeout)|xmlbinary|xmloption""",
    re.VERBOSE | re.ASCII,
)
# As the server calls them, without what stands between words.
_ENCODINGS = frozenset({"utf8", "unicode", "sqlascii", "latin1", "latin9", "win1252", "iso88591", "iso885915"})


def is_undone(statuses: Iterable[bytes]) -> str | None:
    """Return the first setting made for clients that is no more ``on``, by the bodies of a server's ParameterStatus.

    From PostgreSQL 14 on a server tells of every change of ``default_transaction_read_only``, whoever made it: a
    function of the database's own can.
    """
    for status in statuses:
        name, _, rest = status.decode("utf-8", "replace").partition("\0")
        if _SETTINGS.get(name) == "on" and rest.partition("\0")[0] != "on":
            return name
    return None


def may_be_set(name: str) -> bool:
    """Whether the setting *name* is about how values are written, names are looked up or a query is planned and ended.

    Not among them: ``standard_conforming_strings``, by which the server would read other strings than we do,
    memory, and an application's own (row security may ask them who is reading).
    """
    return _MAY_BE_SET.fullmatch(name.lower()) is not None


def encoding_is_read_alike(name: str) -> bool:
    """Whether a statement in the client encoding *name* has the same quotes for us as for the server.

    In some of Asia's encodings a byte of a longer character looks like a backslash.
    """
    return re.sub(r"[\W_]", "", name).lower() in _ENCODINGS
