"""What libpq finds outside of a connection URL: ``PG*`` variables, the service file, the password file, ~/.postgresql.

``complete`` fills a URL in at the door, where the environment is read; the URL's own parts win, then the
service file's, then the variables. The password file is read when the password is needed. The formats are in
PostgreSQL's manual, part "libpq": Environment Variables, The Password File, The Connection Service File. No
message made here holds a password. Nothing here connects to anything.
"""

import os
import pwd
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.urls import ServerURL

VARIABLES: Mapping[str, str] = {
    "PGHOST": "host",
    "PGHOSTADDR": "hostaddr",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGPASSFILE": "passfile",
    "PGOPTIONS": "options",
    "PGSSLMODE": "sslmode",
    "PGSSLROOTCERT": "sslrootcert",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGSSLCRL": "sslcrl",
    "PGSSLCRLDIR": "sslcrldir",
    "PGSSLNEGOTIATION": "sslnegotiation",
    "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
    "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version",
    "PGCHANNELBINDING": "channel_binding",
    "PGREQUIREAUTH": "require_auth",
    "PGREQUIREPEER": "requirepeer",
    "PGGSSENCMODE": "gssencmode",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
    "PGCONNECT_TIMEOUT": "connect_timeout",
}
"""Every variable that says something about the way to a server, and the parameter it is the default of."""

SYSTEM_FOLDER = "/etc/postgresql-common"
"""Where Debian's libpq looks for a service file of all users; ``PGSYSCONFDIR`` names another folder."""

DEFAULT_SOCKETS = "/var/run/postgresql"
"""Folder of the Unix socket of Debian's and Red Hat's servers; a password file calls it ``localhost``."""

NO_DATABASE = (
    "the URL names no database; write postgres://USER:PASSWORD@HOST:5432/DATABASE, "
    "or let a service (?service=NAME) or PGDATABASE name it"
)

_FILES = ("sslrootcert", "sslcert", "sslkey", "passfile")
_OWN_FILES = {"sslrootcert": "root.crt", "sslcert": "postgresql.crt", "sslkey": "postgresql.key"}


@dataclass(frozen=True)
class Password:
    """A password, or null and why a file had none; the repr shows neither."""

    value: str | None = field(default=None, repr=False)
    remedy: str = ""


def complete(address: ServerURL, environ: Mapping[str, str], folder: Path | None = None) -> ServerURL:
    """Return *address* with what it leaves out filled in as libpq does; its relative paths count from *folder*.

    Raises:
        ConfigurationError: there is no such service, or a service file can't be read; or no database is named.
    """
    home = Path(environ.get("HOME") or _home())
    given = _parameters(address)
    for name in _FILES:
        if given.get(name) and given[name] != "system":
            path = Path(given[name])
            path = home.joinpath(*path.parts[1:]) if path.parts[0] == "~" else path
            given[name] = str((folder or Path()).absolute() / path)
    found = dict(given)
    service = found.pop("service", "") or environ.get("PGSERVICE", "")
    if service:
        found = {**_service(service, environ, home), **found}
    found = {**{name: environ[variable] for variable, name in VARIABLES.items() if environ.get(variable)}, **found}
    if "passfile" not in found and (home / ".pgpass").exists():
        found["passfile"] = str(home / ".pgpass")
    own = {name: str(home / ".postgresql" / file) for name, file in _OWN_FILES.items()}
    found |= {name: path for name, path in own.items() if name not in found and Path(path).is_file()}
    if not found.get("dbname"):
        raise ConfigurationError(NO_DATABASE)
    if found.get("password"):
        found.pop("passfile", None)
    port = found.pop("port", "")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigurationError(f"port={port}: a port is a number from 1 to 65535")
    return replace(
        address,
        host=found.pop("host", ""),
        port=int(port) if port else None,
        user=found.pop("user", "") or None,
        password=found.pop("password", "") or None,
        database=found.pop("dbname"),
        parameters=found,
    )


def user_of(address: ServerURL) -> str:
    """Return the role to log in as: the one named, or the one called like this process's user.

    Raises:
        ConfigurationError: this user has no name.
    """
    named = address.parameters.get("user") or address.user
    if named:
        return named
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise ConfigurationError(
            "the URL names no user, and this process's user has no name; write postgres://USER@HOST/DATABASE"
        ) from None


def password_of(address: ServerURL) -> Password:
    """Return the URL's password, or the password file's for this server, database and user."""
    value = address.parameters.get("password") or address.password
    if value:
        return Password(value)
    ways = "write it in the URL, in PGPASSWORD, or in a password file (~/.pgpass)"
    if not address.parameters.get("passfile"):
        return Password(remedy=ways)
    path = Path(address.parameters["passfile"])
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Password(remedy=f"{path} is ignored, because it is no plain file; {ways}")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            remedy = f"{path} is ignored, because others may read it (mode {stat.S_IMODE(status.st_mode):04o}): "
            return Password(remedy=f"{remedy}chmod 600 {path}")
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        return Password(remedy=f"{path} can't be read ({error.strerror}); {ways}")
    host = address.parameters.get("host") or address.host.strip("[]") or address.parameters.get("hostaddr", "")
    names = [
        "localhost" if not host or host == DEFAULT_SOCKETS else host,
        str(address.parameters.get("port") or address.port or 5432),
        address.database,
        user_of(address),
    ]
    for line in lines:
        if line.startswith("#"):
            continue
        # Colons and backslashes in a part are written with a backslash before them.
        parts = [re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"((?:[^:\\]|\\.)*)(?::|$)", line)]
        if len(parts) >= 5 and all(part in ("*", name) for part, name in zip(parts, names, strict=False)):
            return Password(parts[4])
    return Password(remedy=f"{path} has no line for {':'.join(names)}; {ways}")


def _parameters(address: ServerURL) -> dict[str, str]:
    """Return the parts of *address* as libpq's parameters; those behind the question mark win."""
    parts = {
        "host": address.host.strip("[]"),
        "port": str(address.port or ""),
        "user": address.user or "",
        "password": address.password or "",
        "dbname": address.database,
    }
    return {name: value for name, value in {**parts, **address.parameters}.items() if value}


def _service(name: str, environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the parameters of a service: of the user's file, or else of the system's."""
    own = Path(environ["PGSERVICEFILE"]) if environ.get("PGSERVICEFILE") else home / ".pg_service.conf"
    if environ.get("PGSERVICEFILE") and not own.is_file():
        raise ConfigurationError(f"PGSERVICEFILE={own}: no such file")
    shared = Path(environ.get("PGSYSCONFDIR") or SYSTEM_FOLDER) / "pg_service.conf"
    for file in (own, shared):
        found = _service_in(file, name) if file.is_file() else None
        if found is not None:
            return found
    raise ConfigurationError(f"there is no service {name!r} in {own} or {shared}; add a section [{name}] to one")


def _service_in(file: Path, name: str) -> dict[str, str] | None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fault = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
        raise ConfigurationError(f"{file} can't be read: {fault}") from None
    found: dict[str, str] | None = None
    for number, line in enumerate(map(str.strip, lines), 1):
        if line.startswith("["):
            if found is not None:
                break
            found = {} if line.startswith(f"[{name}]") else None
        elif found is not None and line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            # As libpq takes it: no blanks around the sign, and no service within a service.
            if not equals or not re.fullmatch(r"[a-z_]+", key) or key == "service":
                raise ConfigurationError(f"{file}:{number}: no parameter; write NAME=VALUE without blanks around the =")
            found.setdefault(key, value)
    return found


def _home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"
