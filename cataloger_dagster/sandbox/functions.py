"""The functions of PostgreSQL, and of what comes with it, that do more than read: refused by name, in any schema.

A read-only transaction stops most of what writes rows; these are what it does not stop, or what would switch it
off. A test holds the list against every volatile function of a server. What functions an administrator made or
installed do is not known here.
"""

from collections.abc import Iterator

_WHAT_IS_REFUSED = {
    "writes large objects": """lo_close lo_creat lo_create lo_export lo_from_bytea lo_import lo_lseek lo_lseek64
        lo_open lo_put lo_tell lo_tell64 lo_truncate lo_truncate64 lo_unlink loread lowrite""",
    "changes a sequence": "nextval setval pg_nextoid",
    "sends a notification": "pg_notify",
    "takes locks that others wait for": "pg_advisory_* pg_try_advisory_*",
    "writes to the server's log": "pg_log_* pg_logical_emit_message",
    "runs SQL that is given as text, which is not seen here": """query_to_xml query_to_xmlschema
        query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema ts_stat crosstab* connectby xpath_table dblink*
        pg_background_*""",
    "closes connections": "postgres_fdw_disconnect*",
    "acts on other sessions": "pg_cancel_backend pg_terminate_backend",
    "acts on the server": """pg_reload_conf pg_rotate_logfile* pg_switch_wal pg_switch_xlog pg_promote pg_wal_replay_*
        pg_backup_* pg_start_backup pg_stop_backup pg_create_restore_point pg_import_system_collations
        pg_extension_config_dump pg_stop_making_pinned_objects binary_upgrade_* pg_sync_replication_slots
        plpgsql_call_handler pg_prewarm autoprewarm_* pg_buffercache_evict* pg_export_snapshot
        pg_current_xact_id txid_current""",
    "acts on replication": """pg_create_logical_replication_slot pg_create_physical_replication_slot
        pg_copy_logical_replication_slot pg_copy_physical_replication_slot pg_drop_replication_slot
        pg_replication_origin_* pg_replication_slot_advance pg_logical_slot_*""",
    "changes statistics or an index": """pg_stat_reset* pg_stat_statements_reset
        pg_restore_attribute_stats pg_restore_relation_stats pg_clear_attribute_stats pg_clear_relation_stats
        brin_desummarize_range brin_summarize_new_values brin_summarize_range gin_clean_pending_list
        pg_truncate_visibility_map heap_force_*""",
    "reaches the server's files": """pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_* pg_file_*
        pg_logdir_ls""",
}


def _names() -> Iterator[tuple[str, str]]:
    for reason, names in _WHAT_IS_REFUSED.items():
        for name in names.split():
            yield name, reason


_EXACT = {name: reason for name, reason in _names() if not name.endswith("*")}
_PREFIXES = {name.removesuffix("*"): reason for name, reason in _names() if name.endswith("*")}
_BEGINNINGS = tuple(_PREFIXES)
_DOTTED = str.maketrans("İÝ", "ii")


def folded(name: str) -> str:
    """Return *name* in small letters as any server may make them.

    In Turkish, and one byte a character, a capital I with a dot becomes ASCII's i. As UTF-8 it is İ, as Latin-1 Ý.
    """
    return name.translate(_DOTTED).lower()


def effect(name: str, arguments: int) -> str | None:
    """Return what the function *name* does beyond reading, called with so many *arguments*; null if nothing is known.

    ``set_config`` is not among them: what it does depends on the setting.
    """
    name = folded(name)
    if name == "ts_rewrite" and arguments == 2:
        return "runs SQL that is given as text, which is not seen here"
    if name in _EXACT:
        return _EXACT[name]
    if not name.startswith(_BEGINNINGS):
        return None
    return next(reason for beginning, reason in _PREFIXES.items() if name.startswith(beginning))
