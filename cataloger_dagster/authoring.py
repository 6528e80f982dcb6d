"""The writing of one page: a model at work in a session until its page is taken, and what is told of it meanwhile.

What the model is told is the prompt's, how it works the loop's; what page is put together of its words is
``cataloging``'s. A sandbox that fails here is replaced once, and the work goes on from its record.

Each event of a run is a record of the logger ``cataloger_dagster.authoring``, its numbers in ``record.cataloger``.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import Any, TypeVar

from cataloger_dagster.agent.loop import Outcome, run_agent
from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.agent.model import Model
from cataloger_dagster.agent.private import PrivateModel
from cataloger_dagster.agent.tools import Toolbox
from cataloger_dagster.agent.transcript import Event, Transcript
from cataloger_dagster.databases import Budget, Database
from cataloger_dagster.errors import SandboxError
from cataloger_dagster.privacy import Mask
from cataloger_dagster.prompts import Prompt, PromptTemplate
from cataloger_dagster.resuming import Attempt
from cataloger_dagster.sandbox.session import Sandbox, Session

START_SECONDS = 60.0

Progress = Callable[[str], None]

T = TypeVar("T")

_LOGGED: tuple[str, ...] = ("event", "step", "seconds", "error", "stop_reason")
"""What of an event stands in its log record, beside its numbers."""

_LOG = logging.getLogger(__name__)


def silent(_message: str) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Writing:
    """What came of a model's work: how it ended, its record, what it was allowed, and the seconds it took."""

    outcome: Outcome
    transcript: Transcript
    limits: Limits
    seconds: float


def once_more_if_lost(
    sandbox: Sandbox, database: Database | None, work: Callable[[contextlib.ExitStack, Session], T], warn: Progress
) -> T:
    """Return what *work* makes in a session on *database*; if the sandbox fails under it, once more in a fresh one.

    *work* may close what it is handed, and open other sessions there. A sandbox that does not open at all (no engine,
    no image) would not the second time.

    Raises:
        SandboxError: it did not open, or failed twice.
    """
    for last in (False, True):
        with contextlib.ExitStack() as opened:
            session = opened.enter_context(sandbox.open(database))
            try:
                return work(opened, session)
            except SandboxError as error:
                if last:
                    raise
                _LOG.warning("the sandbox failed: %s", error)
                warn(f"the sandbox failed ({error}); going on in a fresh one")
    raise AssertionError("unreachable: the second time returns or raises")


def write(
    session: Session,
    model: Model,
    prompt: PromptTemplate,
    name: str,
    budget: Budget,
    *,
    tried: Attempt,
    accept: Callable[[str], list[str]],
    mask: Mask,
    kit: Mapping[str, Any],
    variables: Mapping[str, Any],
    progress: Progress,
    warn: Progress,
) -> Writing:
    """Start the kit in a fresh interpreter of *session* and let *model* write there about *name* until it is done.

    Raises:
        ModelError, SandboxError: as ``run_agent`` says.
        StoreError: the run can't be kept.
    """
    session.start("cataloger_sandbox.kit:namespace", kit)
    limits = Limits(tokens=budget.tokens, steps=budget.steps, seconds=budget.minutes * 60)
    if tried.past:  # what the model was told is what it goes on from
        rendered = Prompt(tried.past[0]["system"], tried.past[0]["task"])
    else:
        if kit["facts"]:
            digest = session.call("cataloger_sandbox.kit:digest", {"facts": kit["facts"]}, START_SECONDS)
            variables = {**variables, "digest": digest}
        rendered = prompt.render(**variables, budget=asdict(limits))
        rendered = Prompt(mask(rendered.system), mask(rendered.task))
    telling = Telling(name, limits, progress, warn)

    def sink(event: Event) -> None:
        tried.note(event)
        telling(event)

    transcript = Transcript(sink, past=tried.past)
    began = monotonic()
    outcome = run_agent(
        PrivateModel(model, mask), Toolbox(session, accept, mask, rendered.task), rendered, limits, transcript
    )
    # A reason may quote the server, and the server what it was sent.
    return Writing(replace(outcome, reason=mask(outcome.reason)), transcript, limits, monotonic() - began)


class Telling:
    """Tells people and the log of each event of a run on *database*."""

    def __init__(self, database: str, limits: Limits, progress: Progress, warn: Progress) -> None:
        self._database, self._limits, self._progress, self._warn = database, limits, progress, warn
        self._missed = False

    def __call__(self, event: Event) -> None:
        """Tell of *event* what is worth it."""
        step = event.get("step", 0)
        match event["event"]:
            case "reply":
                self._tell(event, f"step {step} of {self._limits.steps}: {_replied(event)}", **event["usage"])
            case "ran":
                ended = f", {event['error']}" if event.get("error") else ""
                self._tell(event, f"step {step}: ran in {event.get('seconds', 0):.1f} s{ended}")
            case "differs":
                self._tell(event, f"step {step}: a cell that was run again printed something else", warn=True)
            case "waiting":
                self._tell(event, event["message"], warn=True, **event["usage"])
            case "shortened":
                self._tell(event, f"step {step}: the model's window was full; older results were shortened", warn=True)
            case "cache_missed":
                said = f"step {step}: {event['tokens']:,} tokens were processed again that the cache should have held"
                self._tell(event, said, warn=not self._missed, tokens=event["tokens"])
                self._missed = True
            case "end":
                self._tell(event, f"{event['ended']} after {event['steps']} steps", **event["usage"])

    def _tell(self, event: Event, message: str, warn: bool = False, **numbers: int) -> None:
        fields = {name: event[name] for name in _LOGGED if name in event} | {"database": self._database} | numbers
        _LOG.log(logging.WARNING if warn else logging.INFO, message, extra={"cataloger": fields})
        (self._warn if warn else self._progress)(message)


def _replied(event: Event) -> str:
    """Return a reply in a line: what it asks for, its tokens by kind, its time; a playbook takes neither."""
    usage = event["usage"]
    asked = [block["name"] for block in event["content"] if block["type"] == "tool_use"]
    new = usage["input"] + usage["cache_write"]
    tokens = f"{new:,} tokens in, {usage['cache_read']:,} from the cache, {usage['output']:,} out"
    cost = f"; {tokens}; {event['seconds']:.1f} s" if any(usage.values()) else ""
    return f"{' + '.join(asked) or event['stop_reason']}{cost}"
