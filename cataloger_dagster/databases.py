"""The databases to catalog, each with its settings, checked.

How they are read from ``databases.yaml`` is in ``databases_file``, connection URLs are in ``urls``; nothing here
connects.
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
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from cataloger_dagster import servers
from cataloger_dagster.errors import ConfigurationError, DatabaseError
from cataloger_dagster.urls import Backend, FileURL, ServerURL, is_plain_path, mask_logins, parse_url

MAX_NAME = 100

MAX_CONNECTIONS = 8
"""A sandbox may have so many connections to its database; see ``sandbox.conversation``."""


def check_name(name: str) -> None:
    """Check a database's name, which is also a partition key and a folder of the store.

    Raises:
        ConfigurationError: the name is malformed.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigurationError(
            f"{short(name)} is no name of a database: it takes letters, digits, dots, underscores and hyphens, "
            "and begins with a letter or digit"
        )
    if len(name) > MAX_NAME:
        raise ConfigurationError(f"{short(name)} is too long for a name: {len(name)} characters, at most {MAX_NAME}")


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


def _connections(count: int) -> int:
    if not 1 <= count <= MAX_CONNECTIONS:
        raise ValueError(f"from 1 to {MAX_CONNECTIONS} connections can be used at a time")
    return count


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
            message = servers.no_database(address)
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
        connections: over how many connections the database may be measured at a time.
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
    connections: Annotated[int, AfterValidator(_connections)] = 1

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
        elif is_plain_path(url):
            raise ConfigurationError(f"{url}: no such file")
        address = parse_url(url)
        if isinstance(address, FileURL):
            address = FileURL(address.backend, address.path.absolute())
            url = str(address)
        else:
            address = servers.complete(address, os.environ if environ is None else environ)
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
        """``duckdb``, ``sqlite``, ``postgres`` or ``mysql``."""
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
        return None if isinstance(self.address, FileURL) else servers.password_of(self.address)

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
        raise ConfigurationError(f"no database {key!r} in {self.file}{meant(key, known)} ({listed})")


def short(value: Any) -> str:
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


def meant(name: str, known: Sequence[str]) -> str:
    """Return a question after the name of *known* that *name* was meant to be, empty if none is like it."""
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
