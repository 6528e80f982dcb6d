"""What a MySQL or MariaDB URL says beside its place: the way TLS is used, by the names that MySQL's own client has.

``complete`` checks them at the door. No message made here holds a password. Nothing here connects to anything.
"""

import getpass
import os
import re
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.urls import ServerURL

PORT = 3306

NO_DATABASE = "the URL names no database; write mysql://USER:PASSWORD@HOST:3306/DATABASE"

SSL_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")

_FILES = ("ssl-ca", "ssl-cert", "ssl-key")


def complete(address: ServerURL, folder: Path | None = None) -> ServerURL:
    """Return *address* with its host, port and user filled in; relative paths of files count from *folder*.

    Raises:
        ConfigurationError: it names no database, or has a parameter that is not honoured.
    """
    if address.host.startswith("/"):
        raise ConfigurationError("a mysql:// URL takes no Unix socket: write the host and port of the server")
    if not address.database:
        raise ConfigurationError(NO_DATABASE)
    parameters = dict(address.parameters)
    if unknown := sorted(set(parameters) - {"ssl-mode", *_FILES}):
        # What stands there may be a piece of a password.
        name = unknown[0] if re.fullmatch(r"[a-z_-]{1,30}", unknown[0]) else "one of the parameters"
        raise ConfigurationError(
            f"{name} is not honoured in a mysql:// URL: leave it out; known are ssl-mode, ssl-ca, ssl-cert and ssl-key"
        )
    mode = parameters.get("ssl-mode", "").upper()
    if mode:
        if mode not in SSL_MODES:
            raise ConfigurationError(f"ssl-mode is none of {', '.join(SSL_MODES)}")
        parameters["ssl-mode"] = mode
    if mode in ("DISABLED", "PREFERRED", "REQUIRED") and "ssl-ca" in parameters:
        raise ConfigurationError(f"ssl-mode={mode} does not look at ssl-ca: write VERIFY_CA or VERIFY_IDENTITY")
    for name in _FILES:
        if parameters.get(name):
            path = (folder or Path()).absolute() / Path(parameters[name]).expanduser()
            if not os.access(path, os.R_OK):
                raise ConfigurationError(f"{name}={path} can't be read: correct the path, or give the right to read it")
            parameters[name] = str(path)
    return replace(
        address,
        host=address.host or "localhost",
        port=address.port or PORT,
        user=address.user or getpass.getuser(),
        parameters=parameters,
    )


def tls_of(address: ServerURL) -> dict[str, Any]:
    """Return the driver's arguments for TLS, as the URL wants it; PREFERRED, which takes what there is, by default.

    Raises:
        ConfigurationError: a file of certificates or keys is none.
    """
    given = address.parameters
    files = {name: given.get(name) or None for name in _FILES}
    mode = given.get("ssl-mode") or ("VERIFY_CA" if files["ssl-ca"] else "REQUIRED" if any(files.values()) else "")
    if mode in ("", "PREFERRED"):
        return {}
    if mode == "DISABLED":
        return {"ssl_disabled": True}
    try:
        context = ssl.create_default_context(cafile=files["ssl-ca"])
        # Those that MySQL makes for itself are not made by the letter.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = mode == "VERIFY_IDENTITY"
        context.verify_mode = ssl.CERT_REQUIRED if mode.startswith("VERIFY") else ssl.CERT_NONE
        if files["ssl-cert"]:
            context.load_cert_chain(files["ssl-cert"], files["ssl-key"])
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"ssl-ca, ssl-cert or ssl-key of the URL can't be used: {error}") from None
    return {"ssl": context}
