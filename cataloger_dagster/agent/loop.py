"""The loop: a model asks for its tools, the toolbox answers, until a page is taken or the budget ends.

History only grows: every request extends the one before, so the server reads what it has seen from its
cache. What a tool does is in ``tools``, what is written down in ``transcript``; retries are the model's. A run
that goes on from an earlier try takes the same way: its replies are those of the record as far as that goes.
"""

from dataclasses import asdict, dataclass
from time import monotonic
from typing import Literal

from cataloger_dagster.agent.model import Block, Message, Model, Reply, Usage
from cataloger_dagster.agent.tools import TOOLS, Toolbox, failure, with_note
from cataloger_dagster.agent.transcript import Transcript
from cataloger_dagster.prompts import Prompt

Ended = Literal["submitted", "budget", "refused", "gave_up"]

SILENT_TURNS = 3
"""How often in a row a model may answer without a tool before it is taken to have given up."""

CELL_SECONDS = 120.0
"""How long one cell may run, if the budget allows that much."""

NUDGE = "You have not submitted the page. Go on with execute_python, or submit it now with submit_html."
CUT_OFF = (
    "Not run: your reply was cut off at its length limit before this call was whole. "
    "Write less at once: build the page in the session, save it to a file and submit the file."
)
SUBMIT_NOW = (
    "The budget is nearly used up: submit the page now. "
    "Tables and columns you leave out are added from the facts; no page at all is worse than a short one."
)


@dataclass(frozen=True)
class Limits:
    """What a run may take: tokens processed for the first time, steps (one request each), seconds."""

    tokens: int
    steps: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``html`` is the page that was taken, ``reason`` says in a sentence why there is none."""

    html: str | None
    usage: Usage
    steps: int
    ended: Ended
    reason: str = ""


def run_agent(model: Model, toolbox: Toolbox, prompt: Prompt, limits: Limits, transcript: Transcript) -> Outcome:
    """Let *model* work with *toolbox* on *prompt* until it submits a page that is taken, gives up, or *limits* end it.

    Raises:
        ModelError: the model's server refused or failed for good.
        SandboxError: the sandbox failed; a failure of the model's code is a result it can read.
    """
    meter = Meter(limits)
    messages: list[Message] = [{"role": "user", "content": [_text(prompt.task)]}]
    transcript.start(model.name, prompt.system, prompt.task, asdict(limits))
    silent = 0
    while transcript.is_behind or not meter.spent():
        reply = _reply(model, prompt, messages, meter, transcript)
        if kept := _sendable(reply):
            messages.append({"role": "assistant", "content": kept})
        if reply.stop_reason == "refusal":
            return _end(transcript, meter, "refused", reply.detail or "The model refused to answer.")
        if reply.stop_reason == "model_context_window_exceeded":
            return _end(transcript, meter, "budget", "The model's context window is full.")
        if reply.stop_reason == "pause_turn" and kept and not _calls(kept):
            continue
        answers, page = _answers(reply, _calls(reply.content), toolbox, meter, transcript)
        if page is not None:
            return _end(transcript, meter, "submitted", html=page)
        silent = 0 if answers else silent + 1
        if silent > SILENT_TURNS:
            return _end(transcript, meter, "gave_up", f"The model answered {silent} times without using a tool.")
        note = transcript.news(meter.steps) + meter.note()
        content = with_note(answers, note) if answers else [_text(f"{_asked(reply)}\n{note}")]
        messages.append({"role": "user", "content": transcript.results(meter.steps, content)})
    return _end(transcript, meter, "budget", meter.spent())


def _reply(model: Model, prompt: Prompt, messages: list[Message], meter: "Meter", transcript: Transcript) -> Reply:
    """Return the next reply: that of an earlier try, which is paid for, or else the model's."""
    if earlier := transcript.earlier_reply():
        reply, seconds = earlier
        meter.count(reply.usage, seconds)
        return reply
    began = monotonic()
    reply = model.reply(system=prompt.system, tools=TOOLS, messages=messages)
    meter.count(reply.usage)
    transcript.reply(meter.steps, reply, monotonic() - began)
    return reply


def _answers(
    reply: Reply, calls: list[Block], toolbox: Toolbox, meter: "Meter", transcript: Transcript
) -> tuple[list[Block], str | None]:
    """Run the calls of a whole reply in order, up to a page that is taken; answer every call of a cut one unrun."""
    answers: list[Block] = []
    for call in calls:
        if reply.stop_reason != "tool_use":
            answers.append(failure(call["id"], CUT_OFF))
            continue
        # A cell that is run again for its variables gets its time, however little is left for new ones.
        seconds = CELL_SECONDS if transcript.is_behind else min(CELL_SECONDS, meter.seconds_left())
        answer = toolbox.run(call, seconds)
        transcript.ran(meter.steps, answer)
        if answer.page is not None:
            return answers, answer.page
        answers.append(answer.block)
    return answers, None


class Meter:
    """Counts what a run took against its limits, and says what is left."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.usage = Usage()
        self.steps = 0
        self._began = monotonic()

    def count(self, usage: Usage, earlier: float = 0.0) -> None:
        """Count one request; *earlier* are the seconds that it took if that was not in this process."""
        self.steps += 1
        self.usage += usage
        self._began -= earlier

    def seconds_left(self) -> float:
        """Return the seconds left, at least one: a cell that is due gets a chance to end by itself."""
        return max(1.0, self.limits.seconds - (monotonic() - self._began))

    def spent(self) -> str:
        """Return which limit is reached, as a sentence; empty while none is."""
        if self.usage.first_time >= self.limits.tokens:
            return f"The budget of {self.limits.tokens:,} tokens is used up."
        if self.steps >= self.limits.steps:
            return f"The budget of {self.limits.steps} steps is used up."
        if monotonic() - self._began >= self.limits.seconds:
            return f"The budget of {self.limits.seconds / 60:g} minutes is used up."
        return ""

    def note(self) -> str:
        """Return what is left, for the model to read; near the end, with the request for the page."""
        steps = self.limits.steps - self.steps
        tokens = max(0, self.limits.tokens - self.usage.first_time)
        seconds = max(0.0, self.limits.seconds - (monotonic() - self._began))
        note = (
            f"[budget left: {steps} of {self.limits.steps} steps, {tokens:,} of {self.limits.tokens:,} tokens, "
            f"{seconds / 60:.0f} of {self.limits.seconds / 60:g} minutes]"
        )
        near = steps <= 3 or tokens < self.limits.tokens / 5 or seconds < self.limits.seconds / 5
        return f"{note}\n{SUBMIT_NOW}" if near else note


def _end(transcript: Transcript, meter: Meter, ended: Ended, reason: str = "", html: str | None = None) -> Outcome:
    transcript.end(ended, reason, meter.steps, meter.usage)
    return Outcome(html=html, usage=meter.usage, steps=meter.steps, ended=ended, reason=reason)


def _sendable(reply: Reply) -> list[Block]:
    """Return the blocks of *reply* that the server takes back.

    It refuses empty texts, thinking that was cut off before its signature, and arguments that are no object; all
    else goes back unchanged.
    """
    return [
        {**block, "input": {}} if block["type"] == "tool_use" and not isinstance(block["input"], dict) else block
        for block in reply.content
        if not (block["type"] == "text" and not block["text"].strip())
        and not (block["type"] == "thinking" and not block.get("signature"))
    ]


def _calls(content: list[Block]) -> list[Block]:
    return [block for block in content if block["type"] == "tool_use"]


def _asked(reply: Reply) -> str:
    return f"Your reply was cut off at its length limit. {NUDGE}" if reply.stop_reason == "max_tokens" else NUDGE


def _text(text: str) -> Block:
    return {"type": "text", "text": text}
