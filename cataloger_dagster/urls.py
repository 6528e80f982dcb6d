"""Connection URLs: taken apart, masked for people, and completed from the environment.

Four backends: ``duckdb://`` and ``sqlite://`` name a file, ``postgres://`` (or ``postgresql://``) and ``mysql://`` (or
``mariadb://``) a server.
No message and no repr made here holds a password. Nothing here connects to anything.
"""

import difflib
import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote

from cataloger_dagster.errors import ConfigurationError

Backend = Literal["duckdb", "sqlite", "postgres", "mysql"]

BACKENDS: Mapping[str, Backend] = {
    "duckdb": "duckdb",
    "sqlite": "sqlite",
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
}

PORTS: Mapping[Backend, int] = {"postgres": 5432, "mysql": 3306}
"""The backends on servers, and where these listen by default."""

_CLOUD = frozenset({"athena", "bigquery", "databricks", "md", "motherduck", "snowflake"})

_NO_EGRESS_LIST = (
    "is not supported: it is a service on the internet, and a sandbox reaches one server and nothing else; "
    "there is no list yet of the hosts it would have to reach"
)

DRIVERS: Mapping[Backend, tuple[str, str]] = {
    "duckdb": ("duckdb", "ibis-framework[duckdb]"),
    "sqlite": ("sqlite3", "a Python built with SQLite"),
    "postgres": ("psycopg", "psycopg[binary]"),
    "mysql": ("pymysql", "cataloger-dagster[mysql]"),
}
"""The module each backend needs and what to install for it."""

HARMLESS_PARAMETERS = frozenset({
    "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname", "gssencmode", "host",
    "hostaddr", "keepalives", "port", "require_auth", "schema", "service", "ssl-ca", "ssl-cert", "ssl-mode", "sslcert",
    "sslmode", "sslrootcert", "target_session_attrs", "user",
})  # fmt: skip
"""Query parameters shown to people; the value of any other may be a secret and is masked."""

MASK = "***"


@dataclass(frozen=True)
class FileURL:
    """A database in a file; ``path`` is as written, so it may be relative."""

    backend: Backend
    path: Path

    @property
    def shown(self) -> str:
        """The URL as people may see it."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.backend}://{quote_path(str(self.path))}"


@dataclass(frozen=True)
class ServerURL:
    """A database on a server; ``host`` is empty for libpq's own default, ``port`` null likewise.

    ``host`` may be the folder of a Unix socket. What a URL leaves out is filled in by ``libpq`` or ``mysql``.
    """

    host: str
    port: int | None
    user: str | None
    password: str | None = field(repr=False)
    database: str
    parameters: Mapping[str, str] = field(repr=False)
    backend: Backend = "postgres"

    @property
    def shown(self) -> str:
        """The URL with the password, and every parameter that may be a secret, replaced by ``***``."""
        return self._spelled(
            None if self.password is None else MASK,
            {
                name: value if name in HARMLESS_PARAMETERS else MASK
                for name, value in self.parameters.items()
                if name != "passfile"  # where this machine keeps its passwords says nothing of the database
            },
        )

    def with_secrets(self) -> str:
        """Return the URL as ``parse_url`` takes it apart again, password and all."""
        password = None if self.password is None else quote(self.password, safe="")
        return self._spelled(password, self.parameters)

    def _spelled(self, password: str | None, parameters: Mapping[str, str]) -> str:
        secret = "" if password is None else f":{password}"
        login = "" if self.user is None and not secret else f"{quote(self.user or '', safe='')}{secret}@"
        host = f"[{self.host}]" if ":" in self.host and "/" not in self.host else quote(self.host, safe="")
        port = "" if self.port is None else f":{self.port}"
        query = "&".join(f"{quote(name)}={quote(value, safe='/*')}" for name, value in parameters.items())
        return f"{self.backend}://{login}{host}{port}/{quote(self.database, safe='')}{query and '?'}{query}"


_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SERVER = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::(\d*))?")


def parse_url(url: str) -> FileURL | ServerURL:
    """Take a connection URL apart.

    Raises:
        ConfigurationError: it is none that Cataloger can read; the message shows no part that may be a secret.
    """
    match = _SCHEME.fullmatch(url.strip())
    if match is None:
        raise ConfigurationError(f"the URL has no scheme; write {_suggestion(url)}")
    scheme, rest = match[1].lower(), match[2]
    backend = BACKENDS.get(scheme)
    if backend is None:
        raise ConfigurationError(_unknown(scheme))
    module, package = DRIVERS[backend]
    if importlib.util.find_spec(module) is None:
        raise ConfigurationError(f"the driver of {scheme}:// URLs is not installed; install {package}")
    return _server(scheme, backend, rest) if backend in PORTS else _file(backend, rest)


def _file(backend: Backend, rest: str) -> FileURL:
    if "?" in rest:
        raise ConfigurationError(
            f"a {backend}:// URL takes no parameters; write the path alone (a question mark in a name is %3F)"
        )
    name = unquote(rest)
    if name in ("", ":memory:", "/:memory:"):
        raise ConfigurationError(f"the URL names no file; write {backend}://folder/name.{backend}")
    if name.startswith(("md:", "motherduck:")):
        raise ConfigurationError(f"MotherDuck {_NO_EGRESS_LIST}. Write the path of a DuckDB file")
    if "\0" in name:
        raise ConfigurationError("the path holds a NUL character")
    return FileURL(backend, Path(name))


def _server(scheme: str, backend: Backend, rest: str) -> ServerURL:
    example = f"{scheme}://USER:PASSWORD@HOST:{PORTS[backend]}/DATABASE"
    encode = "write special characters of a user or password percent-encoded (/ is %2F, ? is %3F, # is %23, @ is %40)"
    parts = _SERVER.fullmatch(rest)
    assert parts is not None, "the pattern takes any text"
    authority, path, query, fragment = parts[1], parts[2], parts[3] or "", parts[4]
    login, at, server = authority.rpartition("@")
    # An @ behind the first slash, or a fragment, means that a password was not encoded: show none of it.
    if fragment or (not at and "@" in path + query):
        raise ConfigurationError(f"the URL can't be taken apart: {encode}, like {example}")
    host = _HOST.fullmatch(server)
    if host is None or (host[2] and not 0 < int(host[2][:9]) < 65536):
        raise ConfigurationError(f"the URL's host and port can't be read: write {example}, and {encode}")
    user, colon, password = login.partition(":")
    database = unquote(path.removeprefix("/"))
    try:
        parameters = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        parameters = None
    if parameters is None:
        raise ConfigurationError("the URL's parameters can't be read; write ?name=value&name=value")
    database = database or parameters.get("dbname", "")
    if "/" in database:
        raise ConfigurationError(
            "the URL names more than a database behind the host; write schemas: [name] beside the url for a schema"
        )
    return ServerURL(
        host=unquote(host[1]).strip("[]"),
        port=int(host[2]) if host[2] else None,
        user=unquote(user) if user else None,
        password=unquote(password) if colon else None,
        database=database,
        parameters=parameters,
        backend=backend,
    )


def _unknown(scheme: str) -> str:
    """Name a scheme that ibis has or that is nearly ours; any other may be a piece of a secret."""
    read = "Cataloger reads duckdb://, sqlite://, postgres:// and mysql:// databases"
    close = difflib.get_close_matches(scheme, list(BACKENDS), n=1)
    if close:
        return f"no backend for {scheme}:// URLs; did you mean {close[0]}://? {read}"
    if scheme in _CLOUD:
        return f"{scheme}:// {_NO_EGRESS_LIST}. {read}"
    if scheme in {entry.name for entry in importlib.metadata.entry_points(group="ibis.backends")}:
        return f"no backend for {scheme}:// URLs yet; {read}"
    return f"no backend for the URL's scheme; {read}"


def _suggestion(url: str) -> str:
    """Return an example, made from what was written only where that is plainly a path."""
    if is_plain_path(url):
        return f"duckdb://{url} or sqlite://{url}"
    return "duckdb://PATH, sqlite://PATH, or postgres:// or mysql:// and USER:PASSWORD@HOST/DATABASE"


def is_plain_path(text: str) -> bool:
    """Say whether *text* is plainly meant as the path of a database file."""
    return bool(re.fullmatch(r"[\w./ -]{1,200}\.(duckdb|ddb|db|sqlite|sqlite3)", text))


def quote_path(path: str) -> str:
    """Percent-encode what would end or change a path inside a URL, and nothing else."""
    return path.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def mask_logins(text: str) -> str:
    """Return *text* with the user and password of every URL in it masked, for values shown in errors."""
    return re.sub(r"://[^\s]*@", f"://{MASK}@", re.sub(r"(?i)\b(\w*passw\w*\s*[=:]\s*)\S+", rf"\1{MASK}", text))


_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\}")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace each ``${VAR}`` by its value in *environ*; ``$${`` stands for ``${`` itself.

    Raises:
        ConfigurationError: a variable is missing or empty, or a ``${`` is not closed.
    """
    return _VARIABLE.sub(lambda match: _value(match, environ), text)


def expand_url(url: str, environ: Mapping[str, str]) -> str:
    """Replace each ``${VAR}`` in a URL; a value counts as it is, so it is percent-encoded where its place needs it.

    In the user and password every special character is encoded, in a path what would end it, in a
    parameter all. A variable that is the URL itself, or its beginning or host, is taken unchanged; one that
    is the whole ``user:password`` part is split at its first colon.

    Raises:
        ConfigurationError: a variable is missing or empty, or a ``${`` is not closed.
    """
    scheme_end = url.find("://")
    if scheme_end < 0:
        return expand(url, environ)
    start = scheme_end + 3
    if BACKENDS.get(url[:scheme_end].lower()) not in PORTS:
        return expand(url[:start], environ) + _VARIABLE.sub(
            lambda match: quote_path(_value(match, environ)), url[start:]
        )
    end = min((place for mark in "/?#" if (place := url.find(mark, start)) >= 0), default=len(url))
    login, at, server = url[start:end].rpartition("@")
    path, question, query = url[end:].partition("?")

    def encoded(match: re.Match[str]) -> str:
        return quote(_value(match, environ), safe="")

    if _VARIABLE.fullmatch(login) and login.startswith("${"):
        user, colon, password = expand(login, environ).partition(":")
        login = quote(user, safe="") + colon + quote(password, safe="")
    else:
        login = _VARIABLE.sub(encoded, login)
    return (
        expand(url[:start], environ)
        + login
        + at
        + expand(server, environ)
        + _VARIABLE.sub(lambda match: quote_path(_value(match, environ)), path)
        + question
        + _VARIABLE.sub(encoded, query)
    )


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match[1] is None:
        return "${"
    if not _NAME.fullmatch(match[1]):
        # What stands behind the brace may be part of a password: it is not shown.
        raise ConfigurationError("a ${ begins no variable; write ${NAME}, or $${ for the two characters themselves")
    name = match[1][:-1]
    value = environ.get(name)
    if not value:
        state = "is empty" if value == "" else "is not set"
        raise ConfigurationError(f"the environment variable {name} {state}; set it, like: export {name}=…")
    return value
