"""``databases.yaml``: the databases to catalog, each with its settings, checked at the door.

A fault of one entry is that entry's; the others go on. Every fault names file, line, value and remedy, and
no password. Connection URLs are in ``urls``, YAML with lines in ``yaml_source``; nothing here connects.
"""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from croniter import CroniterError, croniter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from cataloger_dagster import libpq
from cataloger_dagster.errors import ConfigurationError, DatabaseError
from cataloger_dagster.urls import Backend, FileURL, ServerURL, expand, expand_url, mask_logins, parse_url
from cataloger_dagster.yaml_source import Source, read_yaml

MAX_NAME = 100


def check_name(name: str) -> None:
    """Check a database's name, which is also a partition key and a folder of the store.

    Raises:
        ConfigurationError: the name is malformed.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigurationError(
            f"{_short(name)} is no name of a database: it takes letters, digits, dots, underscores and hyphens, "
            "and begins with a letter or digit"
        )
    if len(name) > MAX_NAME:
        raise ConfigurationError(f"{_short(name)} is too long for a name: {len(name)} characters, at most {MAX_NAME}")


def _cron(text: str) -> str:
    remedy = 'write five fields, like "0 3 * * *" for 03:00 every day, or @daily'
    fault = _cron_fault(text)
    if fault:
        raise ValueError(f"no valid cron expression ({fault}); {remedy}")
    return text


def _cron_fault(text: str) -> str | None:
    """Return what is wrong with a cron expression, by the rules of the scheduler that will read it (five fields)."""
    fields = len(text.split())
    if not text.startswith("@") and fields != 5:
        return f"{fields} fields"
    try:
        croniter(text).get_next()
    except CroniterError as error:
        fault = str(error).replace(f"[{text}]", "").strip()
        return fault or "it can't be read"
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        return "it can't be read"
    return None


def _owner(text: str) -> str:
    if not re.fullmatch(r"team:.+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z|]{2,7}", text):
        raise ValueError("an owner is an e-mail address or team:NAME")
    return text


def _tag_key(text: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}", text):
        raise ValueError("a tag's name takes letters, digits, dots, underscores and hyphens, at most 63")
    return text


def _tag_value(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{0,63}", text):
        raise ValueError("a tag's value takes letters, digits, dots, underscores and hyphens, at most 63")
    return text


def _url(secret: SecretStr) -> SecretStr:
    message = ""
    try:
        address = parse_url(secret.get_secret_value())
    except ConfigurationError as error:
        message = str(error)
    else:
        if isinstance(address, ServerURL) and not address.database:
            message = libpq.NO_DATABASE
    if message:
        raise ValueError(message)
    return secret


Glob = Annotated[str, StringConstraints(min_length=1)]
TagKey = Annotated[str, AfterValidator(_tag_key)]
TagValue = Annotated[str, AfterValidator(_tag_value)]


class _Strict(BaseModel):
    # Inputs stay out of errors: a URL holds a password.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Budget(_Strict):
    """What one agent run may use up; ``tokens`` counts what is processed for the first time."""

    tokens: int = Field(default=200_000, gt=0)
    steps: int = Field(default=40, gt=0)
    minutes: float = Field(default=20, gt=0, allow_inf_nan=False)


class Database(_Strict):
    """One database to catalog; its repr shows no secret.

    Attributes:
        schemas: the schemas to catalog, or null for all that are the user's.
        tables: globs of the tables and views to catalog; ``exclude`` takes some out again.
        schedule: cron expression, or null for no schedule.
        privacy: what the model may see: the schema alone, values with personal data masked, or all.
        hidden: globs of the tables whose values are never shown, to the model or on the page.
        allow_writable_role: whether a role that could write may be used all the same.
    """

    name: str
    url: Annotated[SecretStr, AfterValidator(_url)]
    schemas: Annotated[list[Glob], Field(min_length=1)] | None = None
    tables: list[Glob] = Field(default=["*"], min_length=1)
    exclude: list[Glob] = []
    context: str | None = None
    owners: list[Annotated[str, AfterValidator(_owner)]] = []
    tags: dict[TagKey, TagValue] = {}
    schedule: Annotated[str, AfterValidator(_cron)] | None = None
    budget: Budget = Budget()
    privacy: Literal["schema", "masked", "full"] = "masked"
    hidden: list[Glob] = []
    allow_writable_role: bool = False

    @classmethod
    def from_url(cls, url: str, name: str | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """Return the database at *url*, or in the DuckDB or SQLite file of that path, with every setting's default.

        Relative paths count from the current folder. Without *name*, the file or database gives it. What a
        server's URL leaves out comes from *environ* (default: the process's own), as libpq takes it.

        Raises:
            ConfigurationError: no URL that can be read, no such kind of file, or a malformed name.
        """
        if "://" not in url and is_file(url):
            url = str(FileURL(_kind_of_file(Path(url)), Path(url)))
        address = parse_url(url)
        if isinstance(address, FileURL):
            address = FileURL(address.backend, address.path.absolute())
            url = str(address)
        else:
            address = libpq.complete(address, os.environ if environ is None else environ)
            url = address.with_secrets()
        if name is None:
            own = address.path.stem if isinstance(address, FileURL) else address.database
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-._")[:MAX_NAME] or address.backend
        check_name(name)
        return cls(name=name, url=SecretStr(url))

    @cached_property
    def address(self) -> FileURL | ServerURL:
        """The URL taken apart; a file's path is absolute."""
        address = parse_url(self.url.get_secret_value())
        return FileURL(address.backend, address.path.absolute()) if isinstance(address, FileURL) else address

    @property
    def backend(self) -> Backend:
        """``duckdb``, ``sqlite`` or ``postgres``."""
        return self.address.backend

    @property
    def path(self) -> Path | None:
        """The absolute path of a database in a file; null for a server."""
        return self.address.path if isinstance(self.address, FileURL) else None

    @property
    def shown_url(self) -> str:
        """The URL as people may see it, without secrets."""
        return self.address.shown

    @property
    def password(self) -> str | None:
        """The password to log in with, for those who must hide it; null without one."""
        return None if isinstance(self.address, FileURL) else libpq.password_of(self.address).value

    def require_file(self) -> None:
        """Check that the file of a database in a file is there and can be read; a server is not asked.

        Raises:
            DatabaseError: it is not.
        """
        path = self.path
        if path is None:
            return
        remedy = f"correct the url of {self.name!r}"
        # SQLAlchemy's form has one slash more: sqlite:///shop.db is relative there, and absolute here.
        relative = Path(*path.parts[1:])
        if not path.exists() and relative.is_file():
            remedy = f"a relative path takes two slashes: {self.backend}://{relative}"
        if not path.parent.is_dir():
            raise DatabaseError(f"{path}: its folder {path.parent} does not exist; {remedy}")
        if not path.exists():
            raise DatabaseError(f"{path}: no such file; {remedy}")
        if not path.is_file():
            raise DatabaseError(f"{path} is no file; {remedy}")
        if not os.access(path, os.R_OK):
            raise DatabaseError(f"{path} can't be read by this user; give it the right to read the file")


@dataclass(frozen=True)
class Databases:
    """A parsed ``databases.yaml``: the entries that are right, and the faults of those that are not."""

    file: Path
    entries: Mapping[str, Database]
    broken: Mapping[str, ConfigurationError]

    @property
    def keys(self) -> list[str]:
        """The well-formed names in the file, those of broken entries included, sorted.

        A typing error in an entry must not take its partition, and with it its history, away.
        """
        return sorted({*self.entries, *(name for name in self.broken if _is_name(name))})

    def get(self, key: str) -> Database:
        """Return the entry called *key*.

        Raises:
            ConfigurationError: the key is malformed, there is no such entry, or the entry is broken.
        """
        if key in self.entries:
            return self.entries[key]
        if key in self.broken:
            raise ConfigurationError(str(self.broken[key]))
        check_name(key)
        known = [*self.entries, *self.broken]
        listed = f"it has {', '.join(sorted(known)[:10])}{', …' if len(known) > 10 else ''}" if known else "it has none"
        raise ConfigurationError(f"no database {key!r} in {self.file}{_meant(key, known)} ({listed})")


def load_databases(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> Databases:
    """Read *path*; ``${VAR}`` is taken from *environ* (default: the process's own).

    Raises:
        ConfigurationError: the file as a whole is wrong: missing, no YAML, an unknown key beside ``databases``.
    """
    file = Path(path)
    source = read_yaml(file)
    environ = os.environ if environ is None else environ
    if source.value is None:
        raise ConfigurationError(f"{file} is empty; write databases: {{}} for none")
    faults = _top_faults(source)
    if faults:
        raise ConfigurationError("\n".join(faults))
    defaults, entries = source.value.get("defaults") or {}, source.value.get("databases") or {}
    faults = _default_faults(source, defaults, environ)
    if faults:
        raise ConfigurationError("\n".join(faults))
    good: dict[str, Database] = {}
    broken: dict[str, ConfigurationError] = {}
    for name, entry in entries.items():
        database = _entry(source, name, entry, defaults, environ)
        if isinstance(database, Database):
            good[name] = database
        else:
            broken[name] = ConfigurationError("\n".join(database))
    return Databases(file, good, broken)


def _top_faults(source: Source) -> list[str]:
    if not isinstance(source.value, dict):
        return [source.problem((), f"{_kind(source.value)} where a mapping is due; begin with databases:")]
    faults = [
        source.problem((key,), f"unknown key{_meant(key, _TOP)}; the file takes {' and '.join(_TOP)}")
        for key in source.value
        if key not in _TOP
    ]
    faults += _duplicates(source, *((key,) for key in _TOP), depth=1)
    faults += _duplicates(source, ("defaults",))
    for key in _TOP:
        value = source.value.get(key)
        if not isinstance(value, dict | None):
            faults.append(source.problem((key,), f"{_kind(value)} where a mapping is due; write {key}: {{}} for none"))
    if not faults and "databases" not in source.value:
        faults.append(source.problem((), "the key databases is missing; write databases: {} for none"))
    return faults


_TOP = ("defaults", "databases")
_OWN = frozenset({"name", "url", "context"})
"""Settings that an entry alone can have: defaults don't take them."""


def _default_faults(source: Source, defaults: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    faults = [
        source.problem(("defaults", key), f"{key} belongs to one database; move it to its entry")
        for key in defaults
        if key in _OWN
    ]
    values = {key: value for key, value in defaults.items() if key not in _OWN}
    result = _parse(source, "defaults", {**values, "url": "duckdb://x"}, values, {}, environ)
    return faults if isinstance(result, Database) else faults + result


def _entry(
    source: Source, name: str, entry: Any, defaults: Mapping[str, Any], environ: Mapping[str, str]
) -> Database | list[str]:
    place = ("databases", name)
    fault = ""
    try:
        check_name(name)
    except ConfigurationError as error:
        fault = str(error)
    faults = [source.problem(place, fault).replace(f"databases.{name}: ", "databases: ", 1)] if fault else []
    faults += _duplicates(source, place)
    if not isinstance(entry, dict):
        return [*faults, source.problem(place, f"{_kind(entry)} where settings are due; write at least url:")]
    merged = {**defaults, **entry}
    if isinstance(defaults.get("budget"), dict) and isinstance(entry.get("budget"), dict):
        merged["budget"] = {**defaults["budget"], **entry["budget"]}
    result = _parse(source, name, merged, entry, defaults, environ)
    if isinstance(result, Database):
        return faults or result
    return faults + result


def _parse(
    source: Source,
    name: str,
    merged: Mapping[str, Any],
    entry: Mapping[str, Any],
    defaults: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Database | list[str]:
    """Return the database that *merged* describes, or what is wrong with it."""
    own = ("defaults",) if name == "defaults" and not defaults else ("databases", name)
    faults: list[str] = []

    def place(path: Sequence[str | int]) -> tuple[str | int, ...]:
        inherited = bool(path) and path[0] not in entry and path[0] in defaults
        return ("defaults", *path) if inherited else (*own, *path)

    def filled(value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, dict):
            return {key: filled(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, (*path, position)) for position, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            return expand_url(value, environ) if path == ("url",) else expand(value, environ)
        except ConfigurationError as error:
            faults.append(source.problem(place(path), str(error)))
            return None

    values = filled(dict(merged), ())
    if faults:
        return faults
    if "name" in values:
        return [source.problem(place(("name",)), "unknown key; an entry's name is its key")]
    if own[0] == "databases" and isinstance(values.get("url"), str):
        try:
            values["url"] = _complete(values["url"], source.file, environ)
        except ConfigurationError as error:
            faults.append(source.problem(place(("url",)), str(error)))
            values["url"] = "duckdb://x"  # for the faults of the other keys
    try:
        database = Database.model_validate({**values, "name": name})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    else:
        return faults or database
    for detail in details:
        path = tuple(part for part in detail["loc"] if part != "[key]")
        written = _written(merged, path)
        faults.append(source.problem(place(path), _message(detail, path, written)))
    return faults


def _complete(url: str, file: Path, environ: Mapping[str, str]) -> str:
    """Return *url* with relative paths counted from the folder of *file*, and a server's completed from *environ*.

    Raises:
        ConfigurationError: it can't be read, or not be completed.
    """
    address, folder = parse_url(url), file.absolute().parent
    if isinstance(address, ServerURL):
        return libpq.complete(address, environ, folder).with_secrets()
    return str(FileURL(address.backend, folder / address.path))


_EXPECTED = {
    "string_type": "text is due; put it in quotes",
    "list_type": "a list is due, like [a, b]",
    "tuple_type": "a list is due, like [a, b]",
    "dict_type": "a mapping is due, like {key: value}",
    "model_type": "a mapping is due, like {tokens: 200000, steps: 40, minutes: 20}",
    "int_type": "a whole number is due",
    "int_from_float": "a whole number is due",
    "float_type": "a number is due",
    "bool_type": "true or false is due",
    "finite_number": "a finite number is due",
    "string_too_short": "it is empty; leave the key out, or give a value",
    "too_short": "the list is empty; leave the key out for the default",
}


def _message(detail: Mapping[str, Any], path: Sequence[str | int], written: Any) -> str:
    kind = str(detail["type"])
    if kind == "extra_forbidden":
        known = list(Budget.model_fields) if len(path) == 2 else [key for key in Database.model_fields if key != "name"]
        return f"unknown key{_meant(str(path[-1]), known)}; known: {', '.join(known)}"
    if kind == "missing":
        return "it is missing; write it, like url: duckdb://data/shop.duckdb"
    if kind in ("string_type", "model_type") and path == ("url",):
        return f"{_kind(written)} where a connection URL is due, like duckdb://data/shop.duckdb"
    expected = _EXPECTED.get(kind)
    if expected is None:
        # Our own validators' words, and pydantic's "Input should be …"; neither holds the input.
        expected = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
    if path == ("url",) or written in ([], {}):
        return expected  # the URL may hold a password, also where it can't be read
    if isinstance(written, dict | list):
        return f"{_kind(written)} where {expected}"
    return f"{_short(written)}: {expected}"


def _written(merged: Mapping[str, Any], path: Sequence[str | int]) -> Any:
    """Return the value at *path* as it stands in the file, variables unfilled."""
    value: Any = merged
    for step in path:
        known = step in value if isinstance(value, dict) else isinstance(value, list) and isinstance(step, int)
        if not known:
            break
        value = value[step]
    return value


def _duplicates(source: Source, *places: tuple[str | int, ...], depth: int | None = None) -> list[str]:
    """Return the faults of keys that stand twice at or under *places*, at most *depth* parts deep."""
    return [
        f"{source.file}:{duplicate.line}: {'.'.join(map(str, duplicate.path))}: the key stands twice; remove one"
        for duplicate in source.duplicates
        if (depth is None or len(duplicate.path) <= depth)
        and any(duplicate.path[: len(place)] == place for place in places)
    ]


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return names.get(type(value), "a date")


def _short(value: Any) -> str:
    """Return a value as it may be shown in an error: in quotes, cut, without logins."""
    if not isinstance(value, str):
        return "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    text = mask_logins(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}…")


def is_file(text: str) -> bool:
    """Say whether *text* is the path of a file; what can't be a path at all is none."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than a name can be, or with a NUL in it
        return False


def _is_name(name: str) -> bool:
    return len(name) <= MAX_NAME and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) is not None


def _meant(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _kind_of_file(path: Path) -> Backend:
    """Tell a DuckDB file from a SQLite one by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        fault = error.strerror or type(error).__name__
    else:
        if head.startswith(b"SQLite format 3\0"):
            return "sqlite"
        if head[8:12] == b"DUCK":
            return "duckdb"
        if not head:
            fault = "an empty file is no database"
        else:
            fault = "neither a DuckDB nor a SQLite file; name the database by its URL, like postgres://HOST/NAME"
    raise ConfigurationError(f"{path}: {fault}")
