"""Messages of PostgreSQL's protocol: what is read of them, and where in a stream one begins."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cataloger_dagster.sandbox.client_settings import is_undone
from cataloger_dagster.sandbox.wire import (
    Boundaries,
    ProtocolError,
    error,
    message,
    parameters_of,
    sqlstate,
    startup,
)

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(NAMES, NAMES))
def test_start_up_parameters_come_back_as_they_went(parameters: dict[str, str]) -> None:
    assert parameters_of(startup(parameters)[8:]) == parameters


@given(st.binary(max_size=200))
def test_any_start_up_packet_is_read_or_refused(body: bytes) -> None:
    try:
        parameters_of(body)
    except ProtocolError as fault:
        assert str(fault)  # noqa: PT017


@given(st.lists(st.binary(max_size=30), max_size=20), st.lists(st.integers(1, 40), min_size=1, max_size=50))
def test_the_last_message_is_found_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    messages = [message(b"D", body) for body in bodies]
    stream = b"".join(messages)
    starts = {sum(map(len, messages[:number])) for number in range(len(messages))}
    boundaries, passed, place, cut = Boundaries(), 0, 0, 0
    while place < len(stream):
        size = cuts[cut % len(cuts)]
        before = boundaries.left
        chunk, last = boundaries.follow(stream[place : place + size])
        place, cut = place + size, cut + 1
        assert chunk == stream[passed : passed + len(chunk)]
        assert len(stream[:place]) - passed - len(chunk) < 5  # of what is held back
        if chunk and last >= before:
            assert passed + last == max(start for start in starts if start < passed + len(chunk))
        passed += len(chunk)
        following = [start for start in (*starts, len(stream)) if start >= passed]
        assert boundaries.left == min(following) - passed
        assert boundaries.between == (boundaries.left == 0)
    assert passed == len(stream)


@given(st.integers(1, 40))
def test_what_a_server_tells_of_its_settings_is_seen_however_the_stream_is_cut(size: int) -> None:
    told = [b"TimeZone\0UTC\0", b"default_transaction_read_only\0off\0"]
    row = message(b"D", message(b"S", b"no\0status\0"))
    stream = row + message(b"S", told[0]) + row + message(b"S", told[1]) + row
    boundaries, seen = Boundaries(), []
    passed = b""
    for place in range(0, len(stream), size):
        passed += boundaries.follow(stream[place : place + size])[0]
        seen += boundaries.statuses
    assert (seen, passed) == (told, stream)
    assert is_undone(seen) == "default_transaction_read_only"
    assert is_undone([told[0], b"default_transaction_read_only\0on\0"]) is None


@pytest.mark.parametrize("length", [0, 3])
def test_a_length_that_can_not_be_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError, match=f"a message of {length} bytes"):
        Boundaries().follow(b"D" + struct.pack(">I", length))


def test_an_error_names_its_sqlstate() -> None:
    assert sqlstate(error("53300", "Mind the C")[5:]) == "53300"
    assert sqlstate(b"") == ""
