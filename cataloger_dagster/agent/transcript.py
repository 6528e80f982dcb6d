"""The record of a run: every event in order, as JSON lines and as a Python script that can be run again.

Only what the model saw or wrote stands here, so what was masked for the model is masked here too.
"""

import ast
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from cataloger_dagster.agent.model import Block, Reply, Usage
from cataloger_dagster.agent.tools import Answer

Event = dict[str, Any]

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
    """Appends events and never changes one; *sink* is handed each as it happens."""

    def __init__(self, sink: Callable[[Event], None] | None = None) -> None:
        self.events: list[Event] = []
        self._sink = sink

    def start(self, model: str, system: str, task: str, limits: Mapping[str, Any]) -> None:
        """Record what the run began with."""
        self._append("start", model=model, limits=dict(limits), system=system, task=task)

    def reply(self, step: int, reply: Reply, seconds: float) -> None:
        """Record a reply, whole, with what it cost."""
        self._append("reply", step=step, seconds=round(seconds, 3), **asdict(reply))

    def ran(self, step: int, answer: Answer) -> None:
        """Record what one call came to."""
        block = answer.block
        event: Event = {"step": step, "id": block["tool_use_id"], "output": _output(block)}
        if answer.cell:
            event |= {"error": answer.cell.error, "seconds": round(answer.cell.seconds, 3)}
        self._append("ran", **event)

    def results(self, step: int, content: list[Block]) -> None:
        """Record what the model is sent next."""
        self._append("results", step=step, content=content)

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


def _output(block: Block) -> str:
    return "\n".join(item["text"] for item in block["content"])


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
