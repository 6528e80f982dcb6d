"""The record of a run: every event in order, as JSON lines and as a Python script that can be run again.

Only what the model saw or wrote stands here, so what was masked for the model is masked here too.
"""

import ast
import json
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from cataloger_dagster.agent.model import Block, Reply, Usage
from cataloger_dagster.agent.tools import Answer

Event = dict[str, Any]

_ONCE = frozenset({"cache_missed", "shortened"})
"""Notes on a step that come again when it is gone through again."""

FAILED = frozenset({"waiting", "failed"})
"""Notes on a request that failed: another follows at once, or none in this try."""

HEADER = '''\
"""The session of an agent that wrote a page about a database, as cells that can be run again.

Run it with:  python {this file} URL catalog.html
URL is the database's (no password stands in this file); catalog.html is the page from beside it, for the facts
that were measured. It needs: pip install cataloger-dagster. Lines that begin with #> are what the cells printed.
"""

import contextlib
import sys

from cataloger_dagster.bundled import bundled

sys.path.insert(0, str(bundled("sandbox_image")))
from cataloger_sandbox.kit import reopen  # noqa: E402

globals().update(reopen(*sys.argv[1:]))
'''


class Transcript:
    """Appends events and never changes one; *sink* is handed each as it happens.

    *past* are the events of an earlier try at the same run. Its replies are paid for: they come back in their
    order from ``earlier_reply``, and what the model was sent after each is what it was sent then, byte for byte,
    whatever its calls come to when they are run again.
    """

    def __init__(self, sink: Callable[[Event], None] | None = None, past: Sequence[Event] = ()) -> None:
        self.events: list[Event] = list(past)
        self._sink = sink
        self._replies = deque(event for event in past if event["event"] == "reply")
        self._losses = deque(_losses(past))
        self._sent = {event["step"]: event["content"] for event in past if event["event"] == "results"}
        self._ran = {(event["step"], event["id"]): event for event in past if event["event"] == "ran"}
        self._noted = {(event["event"], event["step"]) for event in past if event["event"] in _ONCE}
        self._resumed = bool(past)
        self._differing: list[int] = []

    @property
    def is_behind(self) -> bool:
        """Whether there are replies of an earlier try that the run has not come to yet."""
        return bool(self._replies)

    def start(self, model: str, system: str, task: str, limits: Mapping[str, Any]) -> None:
        """Record what the run began with, or that it goes on."""
        if self._resumed:
            self._append("resumed", limits=dict(limits))
        else:
            self._append("start", model=model, limits=dict(limits), system=system, task=task)

    def earlier_reply(self) -> tuple[Reply, float] | None:
        """Return the next reply of an earlier try and the seconds it took, or null: then it must be asked for."""
        if not self._replies:
            return None
        event = self._replies.popleft()
        reply = Reply(event["content"], event["stop_reason"], Usage(**event["usage"]), event["detail"])
        return reply, event["seconds"]

    def earlier_loss(self) -> Usage:
        """Return, once, what requests of an earlier try cost that failed before its next reply, or after its last."""
        return self._losses.popleft() if self._losses else Usage()

    def reply(self, step: int, reply: Reply, seconds: float) -> None:
        """Record a reply, whole, with what it cost."""
        self._append("reply", step=step, seconds=round(seconds, 3), **asdict(reply))

    def ran(self, step: int, answer: Answer) -> None:
        """Record what one call came to; of one that was run again, only what came out differently."""
        event: Event = {"step": step, "id": answer.block["tool_use_id"], "output": answer.output}
        if answer.cell:
            event |= {"error": answer.cell.error, "seconds": round(answer.cell.seconds, 3)}
        earlier = self._ran.get((step, event["id"]))
        if earlier is None:
            self._append("ran", **event)
        elif earlier["output"] != event["output"]:
            self._differing.append(step)
            self._append("differs", **event)

    def results(self, step: int, content: list[Block]) -> list[Block]:
        """Record what the model is sent next, and return it: if it was sent before, as it was sent then."""
        if step in self._sent:
            return list(self._sent[step])
        self._append("results", step=step, content=content)
        return content

    def news(self, step: int) -> str:
        """Return, once, what the model should know after *step* of its cells being run again; mostly nothing."""
        if step in self._sent or not self._differing:
            return ""
        steps, self._differing = list(dict.fromkeys(self._differing)), []
        return (
            "[The session was lost and your cells were run again in a new one. Those of these steps printed something "
            f"else than you were shown: {', '.join(map(str, steps))}. Look again at what you rely on.]\n"
        )

    def note(self, event: str, step: int, **fields: Any) -> None:
        """Record something about a step that is no part of the conversation.

        ``waiting`` and ``failed`` (a request that failed, with a ``message`` and its ``usage``), ``cache_missed`` (with
        ``tokens``), ``shortened``.
        """
        if (event, step) not in self._noted:
            self._append(event, step=step, **fields)

    def end(self, ended: str, reason: str, steps: int, usage: Usage) -> None:
        """Record how the run ended and what it took."""
        self._append("end", ended=ended, reason=reason, steps=steps, usage=asdict(usage))

    def lines(self) -> str:
        """Return the events as JSON lines."""
        return "".join(json.dumps(event) + "\n" for event in self.events)

    def script(self) -> str:
        """Return the cells as a Python script, their outputs as comments.

        A cell that failed is run so that the script goes on after it, as the session did; one that would hang or
        can't be compiled is there as a comment.
        """
        cells = {
            block["id"]: block["input"]["code"]
            for event in self.events
            if event["event"] == "reply"
            for block in event["content"]
            if block["type"] == "tool_use" and isinstance((block.get("input") or {}).get("code"), str)
        }
        parts = [HEADER]
        for number, event in enumerate(self._cells(), 1):
            parts.append(f"\n# %% [{number}]\n{_runnable(cells[event['id']], event['error'])}\n")
            parts.append(_commented(event["output"], "#> "))
        return "".join(parts)

    def _cells(self) -> Iterator[Event]:
        return (event for event in self.events if event["event"] == "ran" and "error" in event)

    def _append(self, event: str, **fields: Any) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.events.append({"event": event, "at": at, **fields})
        if self._sink:
            self._sink(self.events[-1])


def _losses(past: Sequence[Event]) -> list[Usage]:
    """Return what failed requests of *past* cost: before each reply, and after the last."""
    losses = [Usage()]
    for event in past:
        if event["event"] == "reply":
            losses.append(Usage())
        elif event["event"] in FAILED:
            losses[-1] += Usage(**event["usage"])
    return losses


def _runnable(code: str, error: str | None) -> str:
    if error in ("timeout", "died") or not _compiles(code):
        return _commented(code, "# ").rstrip("\n")
    tree = ast.parse(code)
    if error and tree.body:
        # Rebuilt from its syntax: to indent the source would change strings of several lines.
        guard = ast.parse("with contextlib.suppress(Exception, SystemExit): pass").body[0]
        assert isinstance(guard, ast.With)
        guard.body = tree.body
        return ast.unparse(ast.fix_missing_locations(guard))
    return code.rstrip("\n")


def _compiles(code: str) -> bool:
    with warnings.catch_warnings(action="ignore"):  # what the compiler warns of was the cell's business
        try:
            compile("0\n" + code, "cell", "exec")  # not first in the file: a __future__ import is refused here too
        except (SyntaxError, ValueError):
            return False
    return True


def _commented(text: str, mark: str) -> str:
    # Whatever Python ends a line at, and the NUL it refuses even in a comment.
    lines = re.split(r"\r\n|[\r\n\f]", text.replace("\0", "\\0"))
    return "".join(f"{mark}{line}".rstrip() + "\n" for line in lines)
