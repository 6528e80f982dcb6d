"""The two tools of the agent, ``execute_python`` and ``submit_html``: what they are called, take and answer.

A mistake of the model (bad arguments, code that fails, a page that is refused) is a result it can read and
mend. A failure of the sandbox raises. Why a page is refused is decided by the report, handed in as ``accept``.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cataloger_dagster.agent.model import Block
from cataloger_dagster.privacy import Mask
from cataloger_dagster.prompts import fenced
from cataloger_dagster.sandbox.session import ExecutionResult, Session

RESULT_CHARACTERS = 20_000
"""The most that one result may hold, notes on it and on the budget included."""

NOTES_CHARACTERS = 600
"""What of that is kept free for those notes."""

REPEATED_CHARACTERS = 400
"""From how many characters on an output that the model has seen word for word is named instead of repeated."""

NEAR = 200
"""How many characters more are cut so that whole lines stay."""

_CUT = re.compile(r"\n\[… ([\d,]{1,20}) characters left out …\]\n")

DRAFT = "page.html"
"""The file under which the kit's ``page.save`` saves by itself: what the model had, where it handed nothing in."""

PAGE_CHARACTERS = 2_000_000
"""The longest page that is taken."""

READ_SECONDS = 30.0

TOOLS: list[Block] = [
    {
        "name": "execute_python",
        "description": (
            "Run Python in a session that keeps its variables from call to call; your instructions say what it holds. "
            "You get what the code prints, with the value of its last expression, at most 20,000 characters of it, "
            "head and tail, between tags that only we can write. There is no network, but for the database where one "
            "is connected, and the only folder that can be written is the current one."
        ),
        "input_schema": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "Python source."}},
            "required": ["code"],
        },
    },
    {
        "name": "submit_html",
        "description": (
            "Hand in the page, a fragment of HTML: either its text as `content`, or `file`, the name of a file that "
            "your code wrote in the session's folder. A page that is taken ends the work; one that is refused comes "
            "back with the reasons, to be mended and handed in again."
        ),
        "input_schema": {
            "type": "object",
            "properties": {
                "content": {"type": "string", "description": "The HTML itself."},
                "file": {"type": "string", "description": "The file that holds it, such as page.html."},
            },
        },
    },
]


@dataclass(frozen=True)
class Answer:
    """What one call came to.

    Attributes:
        block: the ``tool_result`` for the model.
        output: its text, as the record shows it: without the fence around what a cell printed.
        page: the page, if one was handed in and taken.
        cell: what a cell came to, if one ran.
    """

    block: Block
    output: str
    page: str | None = None
    cell: ExecutionResult | None = None


class Toolbox:
    """Answers the model's calls with a *session*.

    *accept* returns the reasons why a page is refused (none: it is taken); *mask* is over every text before
    the model or a record sees it. *task* is what the model was told, which no output needs to repeat.
    """

    def __init__(self, session: Session, accept: Callable[[str], list[str]], mask: Mask, task: str = "") -> None:
        self._session = session
        self._accept = accept
        self._mask = mask
        self._task = task
        self._shown_by: dict[str, str] = {}

    def run(self, call: Block, seconds: float) -> Answer:
        """Answer one ``tool_use`` block; a cell may run for *seconds*.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        identifier, name, arguments = call["id"], call.get("name"), call.get("input")
        if not isinstance(arguments, dict):
            return _told(identifier, "The arguments must be an object.")
        if name == "execute_python":
            return self._execute(identifier, arguments, seconds)
        if name == "submit_html":
            return self._submit(identifier, arguments)
        return _told(identifier, f"There is no tool {name!r}. The tools are execute_python and submit_html.")

    def forget(self) -> None:
        """Name no earlier output any more: the model no longer has them whole."""
        self._shown_by.clear()

    def draft(self) -> str | None:
        """Return the page that the model has saved and not handed in, if it could be taken as it is.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        read = self._read(DRAFT)
        page = self._mask.page(well_formed(read["text"] or ""))
        return None if read["problem"] or _unreadable(page) or self._accept(page) else page

    def _execute(self, identifier: str, arguments: dict[str, Any], seconds: float) -> Answer:
        code = arguments.get("code")
        if not isinstance(code, str) or not code.strip():
            return _told(identifier, "execute_python takes `code`: Python source as one string.")
        result = self._session.execute(well_formed(code), timeout=seconds)
        output = self._once(self._shown(result.output.rstrip("\n") or "[no output]"), code)
        block = _result(identifier, fenced(output, "output"), result.error is not None)
        return Answer(block, output, cell=result)

    def _once(self, output: str, code: str) -> str:
        """Return *output*, or where to find it if the model has it already."""
        if len(output) < REPEATED_CHARACTERS:
            return output
        if output.strip() in self._task:
            return f"[word for word what stands in your task: {len(output):,} characters]"
        first_line = code.strip().splitlines()[0][:80]
        digest = hashlib.sha256(output.encode()).hexdigest()
        if digest in self._shown_by:
            return f"[word for word the output of your cell that begins {self._shown_by[digest]!r}]"
        self._shown_by[digest] = first_line
        return output

    def _submit(self, identifier: str, arguments: dict[str, Any]) -> Answer:
        content, file = arguments.get("content"), arguments.get("file")
        if isinstance(file, str) and file and not content:
            read = self._read(file)
            if read["problem"]:
                return _told(identifier, self._shown(read["problem"]))
            content = read["text"]
        elif not isinstance(content, str) or file:
            return _told(identifier, "submit_html takes either `content`, the HTML, or `file`, its name.")
        # How large it is comes first: nothing looks through what is not taken anyway.
        reasons = _unreadable(content)
        page = "" if reasons else self._mask.page(well_formed(content))
        reasons = reasons or _unreadable(page) or self._accept(page)
        if not reasons:
            taken = "The page is taken."
            return Answer(_result(identifier, taken), taken, page=page)
        listed = "\n".join(f"- {reason}" for reason in reasons)
        return _told(identifier, self._shown(f"The page was not taken. Mend it and submit it again:\n{listed}"))

    def _read(self, file: str) -> dict[str, Any]:
        read: dict[str, Any] = self._session.call(
            "cataloger_sandbox.kit:read_file", {"path": file, "limit": PAGE_CHARACTERS}, READ_SECONDS
        )
        return read

    def _shown(self, text: str) -> str:
        return shorten(self._mask(well_formed(text)), RESULT_CHARACTERS - NOTES_CHARACTERS)


def failure(identifier: str, text: str) -> Block:
    """Return the answer that tells the model about its mistake."""
    return _result(identifier, text, is_error=True)


def _told(identifier: str, text: str) -> Answer:
    return Answer(failure(identifier, text), text)


def with_note(answers: Sequence[Block], note: str) -> list[Block]:
    """Return *answers* with *note* as a text of its own in the last one.

    It stands inside a result, not after it: a text after the results reads to a model as if a person had answered,
    and it tends to end its turn.
    """
    *rest, last = answers
    return [*rest, {**last, "content": [*last["content"], {"type": "text", "text": note}]}]


def well_formed(text: str) -> str:
    """Return *text* with lone surrogates replaced: no encoder takes them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def shorten(text: str, limit: int) -> str:
    """Return *text* in at most *limit* characters, head and tail, the cut named in its place.

    A cut that is in it already, the sandbox's own, becomes part of the new one. It begins and ends at a line's end
    where one is near.
    """
    if len(text) <= limit:
        return text
    head, tail, cut = text, text, -len(text)
    if before := _CUT.search(text):
        head, tail, cut = text[: before.start()], text[before.end() :], int(before[1].replace(",", ""))
    kept = limit - len("\n[… 999,999,999,999 characters left out …]\n")
    first = head[: min(kept * 2 // 3, kept - min(len(tail), kept // 3))]
    last = tail[-(kept - len(first)) :]
    if 0 <= len(first) - first.rfind("\n") <= NEAR:
        first = first[: first.rfind("\n")]
    if 0 <= last.find("\n") <= NEAR:
        last = last[last.find("\n") + 1 :]
    cut += len(head) + len(tail) - len(first) - len(last)
    return f"{first}\n[… {cut:,} characters left out …]\n{last}"


def _unreadable(page: str) -> list[str]:
    if len(page) > PAGE_CHARACTERS:
        return [f"It has {len(page):,} characters; at most {PAGE_CHARACTERS:,} are taken."]
    if not re.search(r"<[A-Za-z]", page):
        return ["It holds no markup: submit HTML elements, not plain text."]
    return []


def _result(identifier: str, text: str, is_error: bool = False) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": identifier, "content": [{"type": "text", "text": text}]}
    return {**block, "is_error": True} if is_error else block
