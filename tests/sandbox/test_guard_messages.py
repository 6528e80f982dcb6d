"""The guard's reading of the messages: the same wherever they are cut, and nothing passes before it was judged."""

import re
from collections.abc import Mapping

import pytest

from cataloger_dagster.sandbox import guard as module
from cataloger_dagster.sandbox.guard import Guard
from cataloger_dagster.sandbox.judge import Judge
from cataloger_dagster.sandbox.verdict import Refusal
from cataloger_dagster.sandbox.wire import Boundaries, error, message

LONGEST = 60
REFUSAL = Refusal("25006", "refused")
VERDICTS: Mapping[bytes, Refusal | None] = {b"SELECT 1": None, b"DROP TABLE a": REFUSAL, b"SELECT 2": None}


def query(sql: bytes) -> bytes:
    return message(b"Q", sql + b"\0")


def parse(sql: bytes) -> bytes:
    return message(b"P", b"name\0" + sql + b"\0\0\0")


CARRIED = [message(b"B", b"\0name\0" + bytes(6)), message(b"E", bytes(5)), message(b"d", b"x" * 40), message(b"S", b"")]
SAID = [
    (query(b"SELECT 1"), query(b"SELECT 1")),
    (CARRIED[0] + CARRIED[1], CARRIED[0] + CARRIED[1]),
    (query(b"DROP TABLE a"), query(b"cataloger_refused_1")),
    (parse(b"SELECT 2"), parse(b"SELECT 2")),
    (parse(b"DROP TABLE a"), parse(b"cataloger_refused_2")),
    (query(b"SELECT " + b"1" * LONGEST), query(b"cataloger_refused_3")),
    (CARRIED[2], CARRIED[2]),
    (message(b"F", bytes(12)), query(b"cataloger_refused_4")),
    (query(b"SELECT 1") * 2 + CARRIED[3], query(b"SELECT 1") * 2 + CARRIED[3]),
]
"""What a client says, and what the server is told."""

SAID_WHOLE = b"".join(said for said, _ in SAID)
TOLD_WHOLE = b"".join(told for _, told in SAID)


@pytest.fixture(autouse=True)
def _short_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATEMENT_LIMIT", LONGEST)


def passed(guard: Guard, pieces: list[bytes]) -> bytes:
    """What the server is told when each question is answered before the next piece."""
    guard._mark = "cataloger_refused_"
    told = []
    for piece in pieces:
        told.append(guard.up(piece))
        while (question := guard.question) is not None:
            told.append(guard.answer(VERDICTS[question]))
    return b"".join(told)


@pytest.mark.parametrize("known", [False, True])
def test_messages_mean_the_same_at_whichever_byte_they_are_cut(known: bool) -> None:
    for cut in range(len(SAID_WHOLE) + 1):
        judge = Judge()
        if known:
            judge._known.update(VERDICTS)
        assert passed(Guard(judge), [SAID_WHOLE[:cut], SAID_WHOLE[cut:]]) == TOLD_WHOLE, cut


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 11])
def test_messages_mean_the_same_in_pieces_of_any_size(size: int) -> None:
    pieces = [SAID_WHOLE[place : place + size] for place in range(0, len(SAID_WHOLE), size)]
    assert passed(Guard(Judge()), pieces) == TOLD_WHOLE


def test_nothing_behind_a_question_passes_before_its_answer() -> None:
    guard = Guard(Judge())
    assert guard.up(CARRIED[0] + query(b"SELECT 1") + CARRIED[1]) == CARRIED[0]
    assert guard.question == b"SELECT 1"
    assert guard.up(query(b"SELECT 2")) == b""
    assert guard.question == b"SELECT 1"
    assert guard.answer(None) == query(b"SELECT 1") + CARRIED[1]
    assert guard.question == b"SELECT 2"
    assert b"SELECT" not in guard.answer(REFUSAL)
    assert guard.question is None
    assert guard.up(CARRIED[3]) == CARRIED[3]


def test_a_message_that_passes_is_not_copied() -> None:
    judge = Judge()
    judge._known.update(VERDICTS)
    guard = Guard(judge)
    for chunk in (query(b"SELECT 1"), b"".join(CARRIED), message(b"d", b"x" * 1000)[:500], b"y" * 400):
        assert guard.up(chunk) is chunk


def test_a_servers_errors_are_changed_at_whichever_byte_they_are_cut() -> None:
    for cut in range(400):
        guard, boundaries = Guard(Judge()), Boundaries()
        guard.up(query(b"DROP TABLE a"))
        [mark] = re.findall(rb"cataloger_refused_\w+", guard.answer(REFUSAL))
        told = (
            message(b"D", b"row" * 20)
            + error("42601", f"syntax error at or near {mark.decode()}")
            + message(b"Z", b"I")
        )
        if cut > len(told):
            return
        seen = b""
        for piece in (told[:cut], told[cut:]):
            seen += boundaries.follow(guard.down(piece, boundaries) if guard.waits else piece)[0]
        assert seen == message(b"D", b"row" * 20) + error("25006", "refused", "ERROR") + message(b"Z", b"I"), cut
    raise AssertionError("the cuts are fewer than the bytes")


def test_only_whole_messages_that_were_let_through_pass_unread() -> None:
    judge = Judge()
    guard = Guard(judge)
    asked = parse(b"SELECT 2") + b"".join(CARRIED)
    assert passed(guard, [asked]) == asked
    assert not judge.passes(asked), "it was held for its question"
    judge._known.update(VERDICTS)
    assert guard.up(asked) is asked
    assert judge.passes(asked)
    assert guard.up(asked) is asked
    for other in (parse(b"SELECT 3") + b"".join(CARRIED), asked + query(b"SELECT 3"), query(b"SELECT 3") + asked):
        guard = Guard(judge)
        guard.up(other)
        assert guard.question == b"SELECT 3"
        assert not judge.passes(other)
    for _ in range(2):
        told = passed(Guard(judge), [parse(b"DROP TABLE a") + CARRIED[3]])
        assert told == parse(b"cataloger_refused_1") + CARRIED[3]


def test_bytes_that_passed_as_messages_do_not_pass_as_parts_of_one() -> None:
    judge = Judge()
    judge._known.update(VERDICTS)
    whole, inner = query(b"SELECT 1"), query(b"SELECT 2")
    guard = Guard(judge)
    assert guard.up(whole) is whole
    head = query(b"SELECT 3, " + whole + inner)[: -len(whole) - len(inner) - 1]
    assert guard.up(head) == b""
    assert guard.up(whole) == b"", "it is in the middle of a text"
    begun = message(b"d", whole + inner)
    guard = Guard(judge)
    assert guard.up(begun[:5]) == begun[:5]
    assert guard.up(whole) is whole
    assert guard.up(inner) is inner
    assert not judge.passes(inner), "it was no message"
    assert not judge.passes(begun[:5])
    assert guard.up(query(b"SELECT 3")) == b""
    assert guard.question == b"SELECT 3", "the message had ended"


def test_what_passes_unread_is_little() -> None:
    judge = Judge()
    judge._known.update(VERDICTS)
    long = query(b"SELECT 1") * 100
    assert Guard(judge).up(long) is long
    assert not judge.passes(long)
    for number in range(1000):
        Guard(judge).up(message(b"B", b"\0name\0%d\0" % number))
        assert len(judge._passed) <= 256
