"""Claude as a model: one streamed request a turn, retried here, over the official SDK.

Where credentials come from is the SDK's business; this module asks it and sends nothing to find out. The SDK
takes seconds to import, so it is imported when it is first needed.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from cataloger_dagster.agent.model import Block, Message, Reply, Usage
from cataloger_dagster.errors import ModelError

if TYPE_CHECKING:
    import anthropic

DEFAULT_MODEL = "claude-sonnet-5-5"
"""The model where none is configured: current, and priced for a page a night for each database."""

MAX_TOKENS = 32_000
"""The longest reply, thinking included; every model of the SDK's list allows it."""

ATTEMPTS = 8
LONGEST_WAIT = 300.0
"""The longest wait, in seconds, that a server may ask for; a longer one is an outage for people to know of."""

FIRST_WAIT = 1.0
LONGEST_BACKOFF = 30.0
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 180.0
"""How long a stream may stay silent; a server that works sends pings."""

_RETRIED = frozenset({408, 409, 429})
_STATUS_OF_TYPE = {
    "overloaded_error": 529,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
}
_SPENT = frozenset({"contract_spend_limit_reached", "enforced_spend_limit_reached"})

_REMEDIES = {
    400: "Choose another model, or report this if the name is right",
    401: "Set ANTHROPIC_API_KEY to a valid key, or work without one: CATALOGER_MODEL=offline",
    402: "See to the account's billing, or work without it: CATALOGER_MODEL=offline",
    403: "Use credentials that may use this model, or choose another",
    404: "Choose another model (CATALOGER_MODEL or --model), and look at ANTHROPIC_BASE_URL if it is set",
    413: "Lower budget.tokens of this database, so that the conversation stays smaller",
}


class ClaudeModel:
    """Any model that the Messages API serves; *name* is passed through, *effort* as ``output_config.effort``.

    *first_wait* is the first pause between two attempts, in seconds; it doubles.
    """

    def __init__(self, name: str, effort: str | None = None, first_wait: float = FIRST_WAIT) -> None:
        self.name = name
        self._effort = effort
        self._first_wait = first_wait
        self._client: anthropic.Anthropic | None = None
        self._renewed = False

    def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
        """Return the reply to *messages*; a request that fails in passing is made again, what it cost is counted.

        Raises:
            ModelError: refused for good, or still failing after the retries.
        """
        lost = Usage()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                reply = self._attempt(system, tools, messages)
            except _Passing as failure:
                lost += failure.usage
                if attempt == ATTEMPTS:
                    raise ModelError(f"{failure}, {ATTEMPTS} times in a row. Try again later") from failure
                time.sleep(self._backoff(attempt) if failure.wait is None else failure.wait)
            else:
                return replace(reply, usage=lost + reply.usage)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _attempt(self, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
        """Make one request and read its stream to the end.

        Raises:
            _Passing: it failed, and may not the next time.
            ModelError: it failed for good.
        """
        import anthropic
        import httpx2

        client = self._open()
        options: dict[str, Any] = {"output_config": {"effort": self._effort}} if self._effort else {}
        snapshot: Any = None
        try:
            with client.messages.stream(
                model=self.name,
                max_tokens=MAX_TOKENS,
                system=system,
                tools=list(tools),  # type: ignore[arg-type]
                messages=list(messages),  # type: ignore[arg-type]
                cache_control={"type": "ephemeral"},
                **options,
            ) as stream:
                if not stream.response.headers.get("content-type", "").startswith("text/event-stream"):
                    raise ModelError(f"{_place(client)} answers without a stream. Look at ANTHROPIC_BASE_URL")
                for event in stream:
                    if event.type == "message_start":
                        snapshot = stream.current_message_snapshot
                    elif event.type == "message_stop":
                        return _reply(stream.current_message_snapshot)
            raise _Passing(f"{_place(client)} ended its stream early", usage=_usage(snapshot))
        except anthropic.APIStatusError as error:
            raise self._refused(client, error, _usage(snapshot)) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            fault = type(error.__cause__ or error).__name__
            raise _Passing(f"{_place(client)} can't be reached ({fault})", usage=_usage(snapshot)) from error
        except anthropic.AnthropicError as error:
            raise ModelError(_hide(client, f"the credentials can't be used: {error}")) from error
        except ValueError as error:  # how the SDK says that the arguments of a call are no JSON
            raise _Passing(f"{_place(client)} sent a call that is no JSON", usage=_usage(snapshot)) from error

    def _refused(self, client: "anthropic.Anthropic", error: "anthropic.APIStatusError", usage: Usage) -> Exception:
        """Return the error that an error status, or an error within a stream, comes to."""
        # Within a stream the response's own status is 200; the kind stands in the event.
        status = error.status_code if error.status_code >= 400 else _STATUS_OF_TYPE.get(error.type or "", 500)
        said = _hide(client, error.api_message or f"status {status}")
        if status == 401 and client.credentials is not None and not self._renewed:
            self._client, self._renewed = None, True  # its token ran out; a new client fetches another
            return _Passing(f"{_place(client)} refused its token", wait=0.0)
        again = error.response.headers.get("x-should-retry")
        passing = again == "true" or (again != "false" and (status in _RETRIED or status >= 500))
        if passing and error.error_code not in _SPENT:
            wait = _asked_wait(error.response.headers)
            if wait is None or wait <= LONGEST_WAIT:
                return _Passing(f"{_place(client)} failed with {status} ({said})", wait, usage)
            return ModelError(f"{_place(client)} asks to wait {wait:.0f} s ({status}: {said}). Try again after that")
        remedy = _REMEDIES.get(status, "Try again later")
        return ModelError(f"{_place(client)} refused {self.name!r} ({status}): {said.rstrip('.')}. {remedy}")

    def _open(self) -> "anthropic.Anthropic":
        if self._client is None:
            # Retries are ours alone: the SDK's would sleep for as long as a server says, a day included.
            self._client = _client(max_retries=0)
            if not _has_credentials(self._client):
                raise ModelError(
                    f"no credentials were found for {self.name!r}. Set ANTHROPIC_API_KEY, "
                    "or work without them: CATALOGER_MODEL=offline"
                )
        return self._client

    def _backoff(self, attempt: int) -> float:
        wait: float = min(LONGEST_BACKOFF, self._first_wait * 2 ** (attempt - 1))
        return wait * random.uniform(0.75, 1.0)  # many runs start at one cron: spread them


class _Passing(Exception):
    """One attempt failed in a way that the next may not: ``wait`` as the server asked, ``usage`` as it cost."""

    def __init__(self, message: str, wait: float | None = None, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.wait = wait
        self.usage = usage or Usage()


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
    return _has_credentials(_client())


def _client(**options: Any) -> "anthropic.Anthropic":
    import anthropic

    try:
        return anthropic.Anthropic(timeout=anthropic.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS), **options)
    except (anthropic.AnthropicError, ValueError) as error:
        raise ModelError(
            f"the credentials for Claude can't be read: {error}. Mend them, or work without: CATALOGER_MODEL=offline"
        ) from error


def _has_credentials(client: "anthropic.Anthropic") -> bool:
    headers = {name.lower() for name in client.default_headers}  # ANTHROPIC_CUSTOM_HEADERS may hold one, too
    return client.credentials is not None or bool(headers & {"authorization", "x-api-key"})


def _reply(message: Any) -> Reply:
    details = message.stop_details
    return Reply(
        content=[block.to_dict(warnings=False) for block in message.content],
        stop_reason=message.stop_reason,
        usage=_usage(message),
        detail=(details.explanation or details.category or "") if details else "",
    )


def _usage(message: Any) -> Usage:
    if message is None:
        return Usage()
    usage = message.usage
    return Usage(
        input=usage.input_tokens or 0,
        cache_write=usage.cache_creation_input_tokens or 0,
        cache_read=usage.cache_read_input_tokens or 0,
        output=usage.output_tokens or 0,
    )


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the server asks to wait: milliseconds, seconds or a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None


def _place(client: "anthropic.Anthropic") -> str:
    """Return where the server is, without what a login in its address would tell."""
    url = client.base_url
    return f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")


def _hide(client: "anthropic.Anthropic", text: str) -> str:
    for secret in (client.api_key, client.auth_token):
        if secret:
            text = text.replace(secret, "***")
    return text
