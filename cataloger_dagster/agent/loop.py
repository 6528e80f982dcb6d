"""The loop: a model asks for its tools, the toolbox answers, until a page is taken or the budget ends.

History only grows: every request extends the one before, so the server reads what it has seen from its
cache; once the model's window is full, old results are shortened in one step (``window``) and it grows from there.
What a tool does is in ``tools``, what is written down in ``transcript``, what a run took in ``meter``, when a request
is made again in ``outages``. A run that goes on from an earlier try takes the same way: its replies are those of the
record as far as that goes.
"""

from dataclasses import asdict, dataclass
from time import monotonic
from typing import Literal

from cataloger_dagster.agent.meter import Limits, Meter
from cataloger_dagster.agent.model import Block, Message, Model, Rejected, Reply, Usage
from cataloger_dagster.agent.outages import persist
from cataloger_dagster.agent.tools import TOOLS, Toolbox, failure, with_note
from cataloger_dagster.agent.transcript import Transcript
from cataloger_dagster.agent.window import shortened
from cataloger_dagster.prompts import Prompt

Ended = Literal["submitted", "budget", "refused", "rejected", "gave_up"]

SILENT_TURNS = 3
"""How often in a row a model may answer without a tool before it is taken to have given up."""

CELL_SECONDS = 120.0
"""How long one cell may run, if the budget allows that much."""

FULL = "model_context_window_exceeded"
REJECTED = "rejected"
"""Our own reason, in the record, for a conversation that the server does not take any more."""

NUDGE = "You have not submitted the page. Go on with execute_python, or submit it now with submit_html."
CUT_OFF = (
    "Not run: your reply was cut off at its length limit before this call was whole. "
    "Write less at once: build the page in the session, save it to a file and submit the file."
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        html: the page that was taken; where none was, a draft that the model had saved and that could be taken.
        reason: a sentence why no page was handed in and taken; empty where one was.
        cache_missed: tokens that were processed again, although the server should have read them from its cache.
    """

    html: str | None
    usage: Usage
    steps: int
    ended: Ended
    reason: str = ""
    cache_missed: int = 0


def run_agent(model: Model, toolbox: Toolbox, prompt: Prompt, limits: Limits, transcript: Transcript) -> Outcome:
    """Let *model* work with *toolbox* on *prompt* until it submits a page that is taken, gives up, or *limits* end it.

    Raises:
        ModelError: the model's server refused for good, or failed for longer than the run has time.
        SandboxError: the sandbox failed; a failure of the model's code is a result it can read.
    """
    meter = Meter(limits)
    messages: list[Message] = [{"role": "user", "content": [_text(prompt.task)]}]
    transcript.start(model.name, prompt.system, prompt.task, asdict(limits))
    silent = 0
    while transcript.is_behind or meter.may_go_on():
        reply = _reply(model, prompt, messages, meter, transcript)
        if reply.stop_reason in ("refusal", REJECTED):
            return _end(toolbox, meter, transcript, "refused" if reply.stop_reason == "refusal" else "rejected", reply)
        if reply.stop_reason == FULL:
            if (smaller := shortened(messages)) is None:
                return _end(toolbox, meter, transcript, "budget", reply)
            messages = smaller
            toolbox.forget()
            meter.begin_anew()
            transcript.note("shortened", meter.steps)
            continue
        if kept := _sendable(reply):
            messages.append({"role": "assistant", "content": kept})
        if reply.stop_reason == "pause_turn" and kept and not _calls(kept):
            continue
        answers, page = _answers(reply, _calls(reply.content), toolbox, meter, transcript)
        if page is not None:
            return _end(toolbox, meter, transcript, "submitted", reply, page)
        silent = 0 if answers else silent + 1
        if silent > SILENT_TURNS:
            return _end(toolbox, meter, transcript, "gave_up", reply)
        note = transcript.news(meter.steps) + meter.note()
        content = with_note(answers, note) if answers else [_text(f"{_asked(reply)}\n{note}")]
        messages.append({"role": "user", "content": transcript.results(meter.steps, content)})
    return _end(toolbox, meter, transcript, "budget")


def _reply(model: Model, prompt: Prompt, messages: list[Message], meter: Meter, transcript: Transcript) -> Reply:
    """Return the next reply: that of an earlier try, which is paid for, or else the model's.

    Where the server does not take a conversation that was paid for, the reply says so by its stop reason.

    Raises:
        ModelError: as the model says; ``Rejected`` only before anything was paid.
    """
    meter.lose(transcript.earlier_loss())
    if earlier := transcript.earlier_reply():
        reply, seconds = earlier
        meter.count(reply.usage, seconds)
        return reply
    began = monotonic()

    def note(event: Literal["waiting", "failed"], message: str, usage: Usage) -> None:
        meter.lose(usage)
        transcript.note(event, meter.steps + 1, message=message, usage=asdict(usage))

    try:
        reply = persist(
            lambda: model.reply(system=prompt.system, tools=TOOLS, messages=messages), meter.time_left, note
        )
    except Rejected as error:
        if not meter.steps:
            raise
        reply = Reply([], FULL if error.too_long else REJECTED, detail=str(error))
    missed = meter.count(reply.usage)
    transcript.reply(meter.steps, reply, monotonic() - began)
    if missed:
        transcript.note("cache_missed", meter.steps, tokens=missed)
    return reply


def _answers(
    reply: Reply, calls: list[Block], toolbox: Toolbox, meter: Meter, transcript: Transcript
) -> tuple[list[Block], str | None]:
    """Run the calls of a whole reply in order, up to a page that is taken; answer every call of a cut one unrun."""
    answers: list[Block] = []
    for call in calls:
        if reply.stop_reason != "tool_use":
            answers.append(failure(call["id"], CUT_OFF))
            continue
        # A cell that is run again for its variables gets its time, however little is left for new ones.
        seconds = CELL_SECONDS if transcript.is_behind else min(CELL_SECONDS, meter.cell_seconds())
        answer = toolbox.run(call, seconds)
        transcript.ran(meter.steps, answer)
        if answer.page is not None:
            return answers, answer.page
        answers.append(answer.block)
    return answers, None


def _end(
    toolbox: Toolbox,
    meter: Meter,
    transcript: Transcript,
    ended: Ended,
    reply: Reply | None = None,
    page: str | None = None,
) -> Outcome:
    detail = reply.detail.rstrip(".") if reply else ""
    reason = {
        "submitted": "",
        "budget": meter.spent() if reply is None else f"{detail or 'The context window of the model is full'}.",
        "refused": f"The model refused to go on ({detail})." if detail else "The model refused to go on.",
        "rejected": f"{detail}.",
        "gave_up": f"The model answered {SILENT_TURNS + 1} times without using a tool.",
    }[ended]
    html = toolbox.draft() if page is None else page
    transcript.end(ended, reason, meter.steps, meter.usage)
    return Outcome(html, meter.usage, meter.steps, ended, reason, meter.missed)


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
