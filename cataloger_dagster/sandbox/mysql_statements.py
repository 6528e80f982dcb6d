"""What of SQL a sandbox may ask of MySQL or MariaDB, told by a statement's first words. Nothing is parsed here.

By its first words alone the server tells what a statement is, once nothing in it is a comment that is run, and the
protocol lets no second one follow. What begins otherwise is refused: it may change the user's own password, end
another session of the user's, or take read-only back, none of which needs a right. What a query does to tables is the
user's rights' to allow, in a session that is read-only. Locks, which need none either, are looked for by name; so are
the server's own files, which only the rights of an administrator reach.
"""

import re

LONGEST = 1 << 20
"""So many bytes a statement may have."""

_BETWEEN = r"(?:\s|/\*(?:[^*]|\*(?!/))*+\*/|(?:--(?=\s|\Z)|#)[^\n]*+(?:\n|\Z))"
_LEAD = re.compile(rf"(?:{_BETWEEN}|\()*+")
_READS = re.compile(r"(?:select|with|values|table|show|describe|desc|explain)\b", re.IGNORECASE)

_NAME = r"(?:`[^`]+`|\w+)"
_SETTINGS = re.compile(
    r"begin|commit|rollback"
    r"|start transaction(?: read only| with consistent snapshot(?:, read only)?)?"
    r"|set autocommit ?= ?[01]"
    r"|set names utf8mb4(?: collate \w+)?"
    r"|set session time_zone = '\+00:00'"
    r"|set session (?:lock_wait_timeout|max_statement_time|max_execution_time|sql_select_limit) = (?:[\d.]+|default)"
    r"|set session transaction (?:read only|isolation level repeatable read)"
    rf"|set role (?:none|{_NAME}(?:@{_NAME})?)",
    re.IGNORECASE,
)
"""What the drivers and the kit say to a session beside queries."""

_RUN_COMMENT = re.compile(r"/\*M?!", re.IGNORECASE)
_LOCKS = re.compile(rf"\bget_lock\b|\bfor{_BETWEEN}++(?:update|share)\b|\bin{_BETWEEN}++share\b", re.IGNORECASE)
_FILES = re.compile(rf"\bload_file\b|\binto{_BETWEEN}++(?:outfile|dumpfile)\b", re.IGNORECASE)


def refusal(statement: bytes) -> str | None:
    """Return why a sandbox may not ask *statement*, or null if it may."""
    if len(statement) > LONGEST:
        return f"a statement may have {LONGEST:,} bytes here, and this one has more: ask for less at once"
    try:
        text = statement.decode()
    except UnicodeDecodeError:
        return "a statement has to be UTF-8 here"
    if "\0" in text:
        return "a statement may not hold the character 0 here"
    if _RUN_COMMENT.search(text):
        return "comments that are run (/*! … */) are refused here: write what is in it as it is"
    lead = _LEAD.match(text)
    said = text[lead.end() if lead else 0 :]
    if _SETTINGS.fullmatch(said.strip().rstrip(";").rstrip()):
        return None
    if not _READS.match(said):
        word = re.match(r"\w{1,20}", said)
        what = word[0].upper() if word else "this"
        return (
            f"a sandbox may only read, and {what} does more or may: ask by SELECT, WITH, VALUES, TABLE, SHOW or EXPLAIN"
        )
    if locks := _LOCKS.search(text):
        return f"{' '.join(locks[0].split())[:30]!r} holds others up, and is refused here: read without it"
    if files := _FILES.search(text):
        return f"{' '.join(files[0].split())[:30]!r} reaches files of the server, and is refused here"
    return None
