"""What a client in a sandbox may set on its connection to PostgreSQL: nothing that lets it write, or another see it."""

import re

_SETTINGS = re.compile(
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


def may_be_set(name: str) -> bool:
    """Whether the setting *name* is about how values are written, names are looked up or a query is planned and ended.

    Not among them: ``standard_conforming_strings``, by which the server would read other strings than we do,
    memory, and an application's own (row security may ask them who is reading).
    """
    return _SETTINGS.fullmatch(name.lower()) is not None


def encoding_is_read_alike(name: str) -> bool:
    """Whether a statement in the client encoding *name* has the same quotes for us as for the server.

    In some of Asia's encodings a byte of a longer character looks like a backslash.
    """
    return re.sub(r"[\W_]", "", name).lower() in _ENCODINGS
