"""The way to a Messages server: what the SDK finds to log in with, and the client that it makes of it.

Where credentials and the address come from is the SDK's business; this module asks it and sends nothing to find
out. The SDK takes seconds to import, so it is imported when it is first needed.
"""

import re
from typing import TYPE_CHECKING, Any

from cataloger_dagster.errors import ModelError

if TYPE_CHECKING:
    import anthropic

DEFAULT_MODEL = "claude-sonnet-5-5"
"""The model where none is configured: current, and priced for a page a night for each database."""

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 180.0
"""How long a stream may stay silent; a server that works sends pings."""


def default_model() -> str | None:
    """Return the name of the model to use where none is configured: null where the SDK finds no credentials.

    Nothing is sent to find out.

    Raises:
        ModelError: credentials are configured and can't be read.
    """
    return DEFAULT_MODEL if has_credentials() else None


def has_credentials() -> bool:
    """Return whether the SDK finds a key, a token, a profile or an identity to log in with; sends nothing.

    Raises:
        ModelError: what is configured can't be read.
    """
    return is_usable(open_client())


def open_client(**options: Any) -> "anthropic.Anthropic":
    """Return the SDK's client as the environment and the user's profiles configure it; sends nothing.

    Raises:
        ModelError: credentials or address can't be read, or no request could be made with them.
    """
    import anthropic

    try:
        client = anthropic.Anthropic(timeout=anthropic.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS), **options)
    except (anthropic.AnthropicError, ValueError) as error:
        raise ModelError(
            f"the credentials for Claude can't be read: {error}. Mend them, or work without: CATALOGER_MODEL=offline"
        ) from error
    if client.base_url.scheme not in ("http", "https") or not client.base_url.host:
        raise ModelError(f"ANTHROPIC_BASE_URL={place(client)}: no address of a server; write https://HOST")
    for name, secret in (("ANTHROPIC_API_KEY", client.api_key), ("ANTHROPIC_AUTH_TOKEN", client.auth_token)):
        if secret and not re.fullmatch(r"[!-~]+", secret):
            raise ModelError(f"{name} holds a space or a sign that no key has: copy it again")
    return client


def is_usable(client: "anthropic.Anthropic") -> bool:
    """Return whether *client* has something to log in with."""
    headers = {name.lower() for name in client.default_headers}  # ANTHROPIC_CUSTOM_HEADERS may hold one, too
    return client.credentials is not None or bool(headers & {"authorization", "x-api-key"})


def place(client: "anthropic.Anthropic") -> str:
    """Return where the server is, without what a login in its address would tell."""
    url = client.base_url
    return f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")


def hide(client: "anthropic.Anthropic", text: str) -> str:
    """Return *text* without the secrets of *client*."""
    for secret in (client.api_key, client.auth_token):
        if secret:
            text = text.replace(secret, "***")
    return text
