"""A MariaDB server of the tests' own, or the one (of MySQL too) named by ``CATALOGER_TEST_MYSQL``."""

import importlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tests.services.postgres import free_port, url_with

if TYPE_CHECKING:
    from tests.services.keeper import Keeper

REMEDY = "apt-get install mariadb-server, or name a server: CATALOGER_TEST_MYSQL=mysql://admin:password@host:port/mysql"


class MariaDB:
    """A running server where we may do all. Names of databases and users are made unique: workers share it."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 3306
        self._databases: list[str] = []
        self._users: list[str] = []

    def new_database(self, *statements: str, name: str = "test") -> str:
        """Make a database called *name* and a unique ending, run *statements* there, return its URL."""
        unique = f"{name}_{secrets.token_hex(4)}"
        self.execute(self.url, f"CREATE DATABASE `{unique}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        self._databases.append(unique)
        url = url_with(self.url, database=unique)
        self.execute(url, *statements)
        return url

    def new_user(self, url: str, *grants: str) -> str:
        """Make a user and return its URL; each of *grants* has ``{db}`` for the database's quoted name, ``{user}``."""
        unique, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
        user, database = f"'{unique}'@'%'", f"`{unquote(urlsplit(url).path.lstrip('/'))}`"
        self.execute(
            url,
            f"CREATE USER {user} IDENTIFIED BY '{password}'",
            *(grant.format(user=user, db=database) for grant in grants),
        )
        self._users.append(user)
        return url_with(url, user=unique, password=password)

    def new_reader(self, url: str) -> str:
        """Make a user that can read the database of *url* and no more; return its URL."""
        return self.new_user(url, "GRANT SELECT, SHOW VIEW ON {db}.* TO {user}")

    def execute(self, url: str, *statements: str) -> list[list[Any]]:
        """Run statements, each by itself, in the database of *url*; return the rows of each."""
        with _driver(url) as driver:
            return [_run(driver, each) for each in statements]

    def insert(self, url: str, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert many rows at once."""
        listed = list(rows)
        with _driver(url) as driver, driver.cursor() as cursor:
            quoted = table.replace("`", "``")
            cursor.executemany(f"INSERT INTO `{quoted}` VALUES ({', '.join(['%s'] * len(listed[0]))})", listed)

    def drop_all(self) -> None:
        """Drop what was made here: for a server that outlives the tests."""
        for name in self._databases:
            self.execute(self.url, f"DROP DATABASE IF EXISTS `{name}`")
        for user in self._users:
            self.execute(self.url, f"DROP USER IF EXISTS {user}")


def _driver(url: str) -> Any:
    """Connect; the driver is an extra, without which the other services work too."""
    parts = urlsplit(url)
    return importlib.import_module("pymysql").connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
        autocommit=True,
    )


def _run(driver: Any, statement: str) -> list[Any]:
    with driver.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def available() -> bool:
    """Say whether the programs are there, and the driver."""
    return bool(_server() and shutil.which("mariadb-install-db") and importlib.util.find_spec("pymysql"))


def _server() -> str | None:
    # Debian has it where only root looks.
    return shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def start(keeper: "Keeper", *more: str) -> dict[str, Any]:
    """Start a server on loopback, with *more* settings, whose only user has a password; not as root."""
    server = _server()
    assert server is not None
    data, password, port = keeper.data / "server", secrets.token_hex(8), free_port()
    data.mkdir(mode=0o700)
    # A server that starts removes whatever servers left in the folder of their temporary tables, and others' too.
    temporary = keeper.data / "tmp"
    temporary.mkdir()
    first = keeper.folder / "first.sql"
    first.write_text(
        f"CREATE USER 'admin'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO 'admin'@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    account = _account()
    if account is not None:
        for folder in (data, temporary):
            os.chown(folder, account.pw_uid, account.pw_gid)
        first.chmod(0o644)
    run_as = [f"--user={account.pw_name}"] if account is not None else []
    made = subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={temporary}",
            "--skip-test-db",
            *run_as,
        ],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise RuntimeError(made.stdout + made.stderr)
    settings = [f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={data}/socket"]
    settings += [
        f"--pid-file={data}/pid",
        f"--init-file={first}",
        "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=0",
    ]
    settings += ["--innodb-buffer-pool-size=64M", "--innodb-doublewrite=0", "--max-connections=60"]
    settings += ["--max-allowed-packet=64M", f"--tmpdir={temporary}", *more]
    process = keeper.spawn([server, "--no-defaults", *settings, *run_as], stop=signal.SIGKILL)
    url = f"mysql://admin:{password}@127.0.0.1:{port}/mysql"
    end = time.monotonic() + 30
    while True:
        try:
            _driver(url).close()
            return {"url": url}
        except importlib.import_module("pymysql").Error as error:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(str(error)) from None
            time.sleep(0.05)


def _account() -> pwd.struct_passwd | None:
    """MariaDB refuses to run as root: the account it gets instead; None where we are not root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("mysql") or names["nobody"]
