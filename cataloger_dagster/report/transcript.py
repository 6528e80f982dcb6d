"""The record of an agent's run as a page that people read: what it was told, and each step with what came of it.

The record itself is ``agent.transcript``'s and arrives as its events; nothing here runs or measures. What stands in
it, the model's words and the database's, is shown as text and nothing else.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from cataloger_dagster.report import elements
from cataloger_dagster.report.block import as_json
from cataloger_dagster.report.run import Kind
from cataloger_dagster.report.tree import clean

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One piece of a step, by ``kind``: thinking, text, code, page, output, error or note."""

    kind: str
    text: str
    seconds: float | None = None

    @property
    def shown(self) -> str:
        """The text as the page shows it."""
        return _plain(self.text)


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


def transcript_page(database: str, kind: Kind, snapshot: str, model: str, events: Sequence[Event]) -> str:
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
            system=_plain(beginning.get("system", "")),
            task=_plain(beginning.get("task", "")),
            allowed=beginning.get("limits", {}).get("steps"),
            end=end,
            steps=steps,
            seconds=sum(step.seconds for step in steps),
            block=Markup(as_json(_data(database, kind, snapshot, model, steps, end))),
        )
    )
    return clean(html)


def _data(database: str, kind: Kind, snapshot: str, model: str, steps: Sequence[Step], end: Event) -> dict[str, Any]:
    """Return the numbers of the run, for programs; all else of it is in the record beside the page."""
    return {
        "format": 1,
        "database": database,
        "kind": kind,
        "snapshot": snapshot,
        "model": model,
        "ended": end.get("ended"),
        "steps": [
            {"step": step.number, "new": step.new, "read": step.read, "out": step.out, "seconds": step.seconds}
            for step in steps
        ],
    }


def _plain(text: str) -> str:
    """Return *text* as a ``pre`` holds it: HTML knows one line end only, and drops the first."""
    return re.sub(r"\r\n?", "\n", text).lstrip("\n")


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
    "failed": "The server did not answer: {message}.",
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
