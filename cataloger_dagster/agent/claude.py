"""Claude as a model: one streamed request a turn over the official SDK, and what its failures mean.

Where credentials and the address come from is in ``credentials``, when a request is made again in ``outages``. The
SDK takes seconds to import, so it is imported when it is first needed.
"""

import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from cataloger_dagster.agent.credentials import hide, is_usable, open_client, place
from cataloger_dagster.agent.model import Block, Message, Rejected, Reply, Unavailable, Usage
from cataloger_dagster.agent.stalls import STALL_SECONDS, Watch
from cataloger_dagster.errors import ModelError

if TYPE_CHECKING:
    import anthropic

MAX_TOKENS = 32_000
"""The longest reply, thinking included; every model of the SDK's list allows it."""

CHECK_SECONDS = 10.0
"""How long the server may take to say whether it takes the key."""

_CACHED: Block = {"type": "ephemeral"}

_RETRIED = frozenset({408, 409, 429})
_OF_MESSAGES = frozenset({400, 413, 422})
"""The statuses that speak of what was sent, which would be sent again."""

# How Anthropic's server and others that speak its protocol word it; there is no code for it.
_TOO_LONG = re.compile(r"prompt is too long|context (limit|length|window)|maximum context", re.IGNORECASE)
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
    "request_too_large": 413,
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
    """Any model that the Messages API serves; *name* is passed through, *effort* as ``output_config.effort``."""

    def __init__(self, name: str, effort: str | None = None) -> None:
        self.name = name
        self._options: dict[str, Any] = {"output_config": {"effort": effort}} if effort else {}
        self._client: anthropic.Anthropic | None = None
        self._renewed = False

    def check(self) -> None:
        """Ask the server, by a request that costs nothing, whether it takes the key.

        Only a plain no counts: some servers speak the Messages API alone, and an outage is the run's to wait out. A
        token, which may have run out and is renewed then, is not judged.

        Raises:
            ModelError: there are no credentials, or the server says that they are wrong.
        """
        import anthropic

        client = self._open()
        try:
            client.models.retrieve(self.name, timeout=CHECK_SECONDS)
        except anthropic.AuthenticationError as error:
            if client.credentials is None:
                raise self._refused(client, error, Usage()) from error
        except (anthropic.AnthropicError, ValueError):  # the latter where an answer calls itself JSON and is none
            pass

    def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
        """Make one request, read its stream to the end, and return the reply.

        Raises:
            Unavailable: it failed, and may not the next time.
            Rejected: the server does not take these *messages*.
            ModelError: it failed for good.
        """
        import anthropic
        import httpx2

        client = self._open()
        where = place(client)
        snapshot: Any = None
        try:
            with client.messages.stream(
                model=self.name,
                max_tokens=MAX_TOKENS,
                system=[_cached(_text(system))],  # type: ignore[list-item]
                tools=list(tools),  # type: ignore[arg-type]
                messages=_with_cached_task(messages),  # type: ignore[arg-type]
                cache_control=_CACHED,  # type: ignore[arg-type]
                **self._options,
            ) as stream:
                if not stream.response.headers.get("content-type", "").startswith("text/event-stream"):
                    raise ModelError(f"{where} answers without a stream. Look at ANTHROPIC_BASE_URL")
                with Watch(stream.response, STALL_SECONDS) as watch:
                    for event in stream:
                        watch.saw()
                        if event.type == "message_start":
                            snapshot = stream.current_message_snapshot
                        elif event.type == "message_stop":
                            self._renewed = False
                            return _reply(stream.current_message_snapshot)
            raise Unavailable(f"{where} ended its stream early", usage=_usage(snapshot))
        except anthropic.APIStatusError as error:
            raise self._refused(client, error, _usage(snapshot)) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            fault = type(error.__cause__ or error).__name__
            said = f"broke its stream off ({fault})" if snapshot else f"can't be reached ({fault})"
            raise Unavailable(f"{where} {said}", usage=_usage(snapshot)) from error
        except anthropic.AnthropicError as error:
            raise ModelError(hide(client, f"the credentials can't be used: {error}")) from error
        except ValueError as error:  # how the SDK says that the arguments of a call are no JSON
            raise Unavailable(f"{where} sent a call that is no JSON", usage=_usage(snapshot)) from error

    def _refused(self, client: "anthropic.Anthropic", error: "anthropic.APIStatusError", usage: Usage) -> ModelError:
        """Return what an error status, or an error within a stream, comes to."""
        # Within a stream the response's own status is 200; the kind stands in the event.
        status = error.status_code if error.status_code >= 400 else _STATUS_OF_TYPE.get(error.type or "", 500)
        said = hide(client, error.api_message or f"status {status}")
        if status == 401 and client.credentials is not None and not self._renewed:
            self._client, self._renewed = None, True  # its token ran out; a new client fetches another
            return Unavailable(f"{place(client)} refused its token", wait=0.0)
        again = error.response.headers.get("x-should-retry")
        passing = again == "true" or (again != "false" and (status in _RETRIED or status >= 500))
        if passing and error.error_code not in _SPENT:
            return Unavailable(
                f"{place(client)} failed with {status} ({said})", _asked_wait(error.response.headers), usage
            )
        remedy = _REMEDIES.get(status, "Try again later")
        message = f"{place(client)} refused {self.name!r} ({status}): {said.rstrip('.')}. {remedy}"
        if status in _OF_MESSAGES:
            return Rejected(message, too_long=status == 413 or bool(_TOO_LONG.search(said)))
        return ModelError(message)

    def _open(self) -> "anthropic.Anthropic":
        if self._client is None:
            # Retries are ours alone: the SDK's would sleep for as long as a server says, a day included.
            self._client = open_client(max_retries=0)
            if not is_usable(self._client):
                raise ModelError(
                    f"no credentials were found for {self.name!r}. Set ANTHROPIC_API_KEY, "
                    "or work without them: CATALOGER_MODEL=offline"
                )
        return self._client


def _with_cached_task(messages: Sequence[Message]) -> list[Message]:
    """Return *messages* with a place in the first up to which the server may cache them.

    The one that it chooses by itself moves on with each request, and is not found again behind a reply with many
    calls; this one and the one after the system text stay where they are, so the fixed beginning is always read.
    """
    first, *others = messages
    *rest, last = first["content"]
    return [{**first, "content": [*rest, _cached(last)]}, *others]


def _cached(block: Block) -> Block:
    return {**block, "cache_control": _CACHED}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _reply(message: Any) -> Reply:
    details = message.stop_details
    return Reply(
        content=[block.to_dict(warnings=False) for block in message.content],
        stop_reason=message.stop_reason,
        usage=_usage(message),
        detail=": ".join(filter(None, (details.category, details.explanation))) if details else "",
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
