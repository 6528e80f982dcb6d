"""The record of an agent's run as a page that people read: what it was told, and each step with what came of it.

The record itself is ``agent.transcript``'s and arrives as its events; nothing here runs or measures. What stands in
it, the model's words and the database's, is shown as text and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cataloger_dagster.report import elements
from cataloger_dagster.report.run import PageKind
from cataloger_dagster.report.tree import clean

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One piece of a step, by ``kind``: thinking, text, code, page, output, error or note."""

    kind: str
    text: str
    seconds: float | None = None


@dataclass(frozen=True)
class Step:
    """One request: its reply and what came of it. Tokens are what was ``read`` from the cache, ``new`` or ``out``."""

    number: int
    new: int
    read: int
    out: int
    seconds: float
    parts: list[Part] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What the step did, in a word or two."""
        kinds = [part.kind for part in self.parts]
        cells = kinds.count("code")
        did = [f"{cells} cells" if cells > 1 else "a cell"] if cells else []
        return " and ".join([*did, *(["a page"] if "page" in kinds else [])]) or "words"


def transcript_page(database: str, kind: PageKind, snapshot: str, model: str, events: Sequence[Event]) -> str:
    """Return the page of *events*, those of the run that wrote the *kind* page of *snapshot*."""
    steps = _steps(events)
    beginning: Event = next((event for event in events if event["event"] == "start"), {})
    end: Event = next((event for event in reversed(events) if event["event"] == "end"), {})
    html = (
        elements.environment()
        .get_template("transcript.html.j2")
        .render(
            database=database,
            kind=kind,
            snapshot=snapshot,
            model=model,
            beginning=beginning,
            end=end,
            steps=steps,
            seconds=sum(step.seconds for step in steps),
        )
    )
    return clean(html)


def _steps(events: Sequence[Event]) -> list[Step]:
    steps: list[Step] = []
    early: list[Part] = []
    ran: set[str] = set()
    for event in events:
        if event["event"] == "reply":
            usage = event["usage"]
            new = usage["input"] + usage["cache_write"]
            step = Step(event["step"], new, usage["cache_read"], usage["output"], event["seconds"], early)
            early = []
            step.parts.extend(part for block in event["content"] if (part := _said(block)))
            if event["stop_reason"] not in ("tool_use", "end_turn"):
                step.parts.append(Part("note", f"The reply ended with {event['stop_reason']}. {event['detail']}"))
            steps.append(step)
            continue
        # What is noted before a reply, a wait for the server, belongs to the step that it comes before.
        parts = steps[-1].parts if steps and event.get("step", 0) <= steps[-1].number else early
        if event["event"] == "ran":
            ran.add(event["id"])
            parts.append(Part("error" if event.get("error") else "output", event["output"], event.get("seconds")))
        elif event["event"] == "results":
            parts.extend(_sent(event["content"], ran))
        elif words := _WORDS.get(event["event"]):
            parts.append(Part("note", words.format_map({"message": "", "tokens": 0, "output": "", **event})))
    if early and steps:
        steps[-1].parts.extend(early)
    return steps


_WORDS = {
    "resumed": "The run was cut off here and gone on with; the cells before were run again in a fresh session.",
    "differs": "Run again, a cell printed something else: {output}",
    "waiting": "Waited for the server: {message}.",
    "cache_missed": "{tokens:,} tokens were processed again that the cache should have held.",
    "shortened": "The model's window was full: older results were shortened.",
}


def _said(block: Mapping[str, Any]) -> Part | None:
    kind = block["type"]
    if kind == "tool_use":
        arguments = block["input"] if isinstance(block["input"], dict) else {}
        if block["name"] == "execute_python":
            return Part("code", str(arguments.get("code", "")))
        if arguments.get("file"):
            return Part("page", f"The file {arguments['file']}.")
        return Part("page", str(arguments.get("content", arguments)))
    words = block.get(kind)
    return Part(kind, words) if kind in ("text", "thinking") and isinstance(words, str) and words.strip() else None


def _sent(content: Sequence[Mapping[str, Any]], ran: set[str]) -> list[Part]:
    """Return what the model was told beside the results of its calls."""
    parts = []
    for block in content:
        if block["type"] == "text":
            parts.append(Part("note", block["text"]))
            continue
        texts = [item["text"] for item in block["content"]]
        told = texts[1:] if block["tool_use_id"] in ran else texts
        parts.extend(Part("note", text) for text in told)
    return parts
