"""What a MySQL or MariaDB user could write, as the server itself says (``SHOW GRANTS``), and the SQL for a right user.

A user's rights are its own, those of every role that it may take, and on MariaDB those of PUBLIC. What is not known
to let its holder only read counts as a right to write: later versions' rights too. Whether to go on is the host's to
say.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cataloger_sandbox.engines.base import Engine, Native, QueryFailed, Relation

READER = "cataloger_reader"
PASSWORD = "choose-a-password"

_READING = frozenset({
    "BINLOG MONITOR", "PROCESS", "REPLICA MONITOR", "REPLICATION CLIENT", "SELECT", "SHOW DATABASES", "SHOW VIEW",
    "SHOW_ROUTINE", "SLAVE MONITOR", "USAGE",
})  # fmt: skip

_TEMPORARY = "CREATE TEMPORARY TABLES"
"""Lets a user make what is gone with its session: told, and not counted."""

_QUOTED = re.compile(r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"", re.DOTALL)
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<place>.+?) TO (?P<rest>.+)", re.DOTALL)
_ROLES = re.compile(r"GRANT (?P<roles>.+?) TO (?P<rest>.+)", re.DOTALL)
_WORD = re.compile(r"[A-Z][A-Z_ ]*[A-Z]")

FORWARDED = (
    "Forwarded: statements reach this server if their first words read, and no parser looks at the rest. That nothing "
    "is written rests on a read-only session and on the rights of its user."
)
"""What a page says of a server whose relay looks at the first words of statements alone."""


@dataclass(frozen=True)
class UserRights:
    """What a user may do beyond reading: ``found`` to write, ``notes`` what does not count."""

    user: str
    found: list[str]
    notes: list[str]


def read_user_rights(engine: Engine) -> UserRights:
    """Return what the session's user could write.

    Raises:
        QueryFailed: the server does not say.
    """
    [[user, version]] = engine.fetch(Native("SELECT CURRENT_USER(), VERSION()")).rows
    mariadb = "mariadb" in str(version).lower()
    told: dict[str, None] = {}
    roles: list[str] = []
    for line in _asked(engine, "SHOW GRANTS FOR CURRENT_USER()" if mariadb else "SHOW GRANTS"):
        rights, granted = _read(line)
        told |= dict.fromkeys(rights)
        roles += granted
    for role in roles:
        told |= dict.fromkeys(f"{right} (by role {role})" for right in _of_role(engine, role, mariadb))
    if mariadb:
        told |= dict.fromkeys(f"{right} (by PUBLIC)" for right in _of_everybody(engine))
    notes = [f"The user has {right}." for right in told if right.startswith(_TEMPORARY)]
    found = [right for right in told if not right.startswith(_TEMPORARY)]
    return UserRights(str(user), found, notes)


def _asked(engine: Engine, sql: str) -> list[str]:
    return [str(row[0]) for row in engine.fetch(Native(sql)).rows]


def _of_role(engine: Engine, role: str, mariadb: bool) -> list[str]:
    """Return what a role that the user may take lets it write, with the roles that this one has in turn."""
    try:
        if mariadb:
            engine.fetch(Native(f"SET ROLE {role}"))
            lines = _asked(engine, "SHOW GRANTS FOR CURRENT_ROLE")
            engine.fetch(Native("SET ROLE NONE"))
        else:
            lines = _asked(engine, f"SHOW GRANTS FOR CURRENT_USER() USING {role}")
    except QueryFailed as error:
        return [f"rights that can't be seen ({error})"]
    return [right for line in lines for right in _read(line)[0]]


def _of_everybody(engine: Engine) -> list[str]:
    """Return what every user may write."""
    try:
        lines = _asked(engine, "SHOW GRANTS FOR PUBLIC")
    except QueryFailed:  # before MariaDB 10.11
        return []
    return [right for line in lines for right in _read(line)[0]]


def _read(line: str) -> tuple[list[str], list[str]]:
    """Return the rights to write that a grant gives, as text, and the roles."""
    names: list[str] = []

    def hidden(match: re.Match[str]) -> str:
        names.append(match[0])
        return f"\0{len(names) - 1}\0"

    def shown(text: str) -> str:
        return re.sub("\0(\\d+)\0", lambda match: names[int(match[1])], text)

    plain = _QUOTED.sub(hidden, line)  # a name may hold any of the words
    if plain.startswith(("REVOKE", "SET DEFAULT ROLE")):
        return [], []  # takes a part away from what counts all the same
    if grant := _GRANT.fullmatch(plain):
        place = shown(grant["place"])
        rights = [] if grant["rights"] == "PROXY" else _WORD.findall(re.sub(r"\([^)]*\)", "", grant["rights"]))
        listed = [f"{right} on {place}" for right in rights if right not in _READING]
        if grant["rights"] == "PROXY":
            listed.append(f"PROXY on {place}")
        if "GRANT OPTION" in grant["rest"]:
            listed.append(f"GRANT OPTION on {place}")
        return listed, []
    if roles := _ROLES.fullmatch(plain):
        return [], [shown(role.strip()) for role in roles["roles"].split(",")]
    return [
        f"a right that is not known here ({_WORD.findall(plain)[0] if _WORD.search(plain) else 'without a name'})"
    ], []


def user_remedy(engine: Engine, relations: Iterable[Relation], schemas: Sequence[str] | None) -> str:
    """Return the SQL for an administrator that makes a user who can read *schemas* and write nothing."""
    read = sorted({relation.schema for relation in relations} | set(schemas or ())) or [engine.default_schema]
    user = f"'{READER}'@'%'"
    return "\n".join(
        [
            "-- Run as an administrator, with a password of your own, then name the user in the url:",
            f"CREATE USER {user} IDENTIFIED BY '{PASSWORD}';",
            *(f"GRANT SELECT, SHOW VIEW ON {_pattern(schema)}.* TO {user};" for schema in read),
        ]
    )


def _pattern(schema: str) -> str:
    """Return a database's name as a grant has it, where _ and % stand for other characters."""
    escaped = re.sub(r"([_%\\])", r"\\\1", schema)
    return "`" + escaped.replace("`", "``") + "`"
