"""Claude over the real SDK, against a scripted server on loopback."""

import json
import socket
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any, get_args

import pytest

from cataloger_dagster.agent import claude, credentials, outages
from cataloger_dagster.agent.choice import choose_model
from cataloger_dagster.agent.claude import ClaudeModel
from cataloger_dagster.agent.credentials import DEFAULT_MODEL, default_model
from cataloger_dagster.agent.model import Reply, Usage
from cataloger_dagster.agent.outages import persist
from cataloger_dagster.agent.tools import TOOLS
from cataloger_dagster.errors import ModelError
from tests.messages_server import MessagesServer, Scripted, call, fails, messages_server, text, thinking, uses

KEY = "sk-ant-test-0123456789"
TOLD: list[tuple[str, str, Usage]] = []
SAID = Scripted(content=[text("Hello, I am here.")])


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    return KEY


def ask(server: MessagesServer, monkeypatch: pytest.MonkeyPatch, seconds: float = 60, **options: Any) -> Reply:
    """Ask as the loop does: again where that may help, for as long as there is time."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    model = ClaudeModel("claude-test", **options)
    until = time.monotonic() + seconds
    return persist(
        lambda: model.reply(system="S", tools=TOOLS, messages=[{"role": "user", "content": [text("Go")]}]),
        lambda: until - time.monotonic(),
        lambda *failure: TOLD.append(failure),
    )


def refused(server: MessagesServer, monkeypatch: pytest.MonkeyPatch, seconds: float = 60) -> str:
    with pytest.raises(ModelError) as caught:
        ask(server, monkeypatch, seconds)
    assert KEY not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("key")
def test_a_streamed_reply_comes_back_block_by_block_as_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [thinking("Let me look. " * 20), text("I look."), call("t1", "execute_python", code='print("é\\n")' * 9)]
    with messages_server(uses(*blocks, pieces=7, usage={"input_tokens": 11, "output_tokens": 7})) as server:
        reply = ask(server, monkeypatch)
    assert reply.content == blocks
    assert reply.stop_reason == "tool_use"
    assert reply.usage == Usage(input=11, output=7)


@pytest.mark.usefixtures("key")
def test_the_request_streams_caches_and_sends_nothing_that_current_models_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with messages_server(SAID) as server:
        ask(server, monkeypatch, effort="medium")
    body = server.bodies[0]
    assert body["stream"] is True
    assert body["cache_control"] == {"type": "ephemeral"}
    assert body["output_config"] == {"effort": "medium"}
    assert body["tools"] == TOOLS
    assert body["system"] == [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}]
    assert body["messages"][0]["content"] == [text("Go") | {"cache_control": {"type": "ephemeral"}}], "what is fixed"
    assert not {"temperature", "top_p", "top_k", "tool_choice", "thinking"} & set(body)
    assert body["messages"][-1]["role"] == "user"
    assert body["max_tokens"] == 32_000


@pytest.mark.usefixtures("key")
def test_no_effort_is_sent_where_none_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    with messages_server(SAID) as server:
        ask(server, monkeypatch)
    assert "output_config" not in server.bodies[0]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_a_passing_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with messages_server(fails(status), fails(status), SAID) as server:
        assert ask(server, monkeypatch).content == SAID.content
    assert len(server.requests) == 3


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("header", [{"retry-after": "0.3"}, {"retry-after-ms": "300"}], ids=["seconds", "milliseconds"])
def test_the_server_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch, header: dict[str, str]) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with messages_server(fails(429, "rate_limit_error", headers=header), SAID) as server:
        ask(server, monkeypatch)
    assert waits == [0.3]


def test_a_date_to_retry_after_is_understood() -> None:
    assert 50 < (claude._asked_wait({"retry-after": formatdate(time.time() + 60, usegmt=True)}) or 0) <= 60
    assert claude._asked_wait({"retry-after": "soon"}) is None
    assert claude._asked_wait({}) is None


@pytest.mark.usefixtures("key")
def test_a_server_that_asks_for_an_hour_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with messages_server(fails(429, "rate_limit_error", headers={"retry-after": "3600"})) as server:
        assert "asks to wait 3600 s, but the run has 60 s left" in refused(server, monkeypatch)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("key")
def test_an_outage_is_waited_out_for_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    TOLD.clear()
    with messages_server(fails(529, "overloaded_error", "Overloaded")) as server:
        message = refused(server, monkeypatch, seconds=1.5)
    assert "529 (Overloaded)" in message
    assert f"{len(server.requests)} times in a row" in message
    assert len(server.requests) >= 6
    assert "asking again in" in TOLD[0][1]
    assert [event for event, _, _ in TOLD] == ["waiting"] * (len(server.requests) - 1) + ["failed"]


def test_from_the_sixth_failure_on_one_request_a_minute_looks_whether_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outages, "FIRST_WAIT", 1.0)
    monkeypatch.setattr(outages, "LONGEST_WAIT", 60.0)
    waits = [outages.pause(failures) for failures in range(1, 12)]
    for wait, longest in zip(waits, [1, 2, 4, 8, 16, *[60] * 6], strict=True):
        assert longest * 0.75 <= wait <= longest


@pytest.mark.usefixtures("key")
def test_a_stream_that_holds_pings_alone_is_cut_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claude, "STALL_SECONDS", 0.4)
    with messages_server(Scripted(content=[text("a")], pings_after=3), SAID) as server:
        assert ask(server, monkeypatch).content == SAID.content
    assert len(server.requests) == 2


@pytest.mark.usefixtures("key")
def test_a_stream_that_falls_silent_is_cut_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "SILENCE_SECONDS", 0.4)
    with messages_server(Scripted(content=[text("a")], silent_after=3), SAID) as server:
        assert ask(server, monkeypatch).content == SAID.content
    assert len(server.requests) == 2


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    "broken", [{"drop": True}, {"cut_after": 0}, {"cut_after": 5}, {"cut_after": 4, "cleanly": True}]
)
def test_a_broken_stream_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, broken: dict[str, Any]) -> None:
    whole = [text("first " * 30), call("t1", "execute_python", code="1")]
    with messages_server(uses(*whole, **broken), uses(*whole)) as server:
        reply = ask(server, monkeypatch)
    assert reply.content == whole
    assert server.requests[0].raw == server.requests[1].raw


@pytest.mark.usefixtures("key")
def test_what_a_broken_stream_cost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 50}
    TOLD.clear()
    with messages_server(Scripted(content=[text("x" * 400)], cut_after=5, usage=usage), SAID) as server:
        reply = ask(server, monkeypatch)
    assert reply.usage == Usage(input=10, output=5)
    [(event, _, lost)] = TOLD
    assert (event, lost.input) == ("waiting", 1000)


@pytest.mark.usefixtures("key")
def test_an_overload_in_the_middle_of_a_stream_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    overloaded = {"type": "overloaded_error", "message": "Overloaded"}
    with messages_server(Scripted(content=[text("a")], error_after=3, error=overloaded), SAID) as server:
        assert ask(server, monkeypatch).content == SAID.content


@pytest.mark.usefixtures("key")
def test_a_refused_request_in_a_stream_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    invalid = {"type": "invalid_request_error", "message": "no"}
    with messages_server(Scripted(content=[text("a")], error_after=3, error=invalid)) as server:
        assert "(400)" in refused(server, monkeypatch)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("key")
def test_arguments_that_are_no_json_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    garbled = {"type": "tool_use", "id": "t1", "name": "execute_python", "input": '{"code": nonsense}'}
    with messages_server(uses(garbled), SAID) as server:
        assert ask(server, monkeypatch).content == SAID.content


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("status", "kind", "remedy"),
    [
        (400, "invalid_request_error", "another model"),
        (401, "authentication_error", "ANTHROPIC_API_KEY"),
        (402, "billing_error", "billing"),
        (403, "permission_error", "may use this model"),
        (404, "not_found_error", "CATALOGER_MODEL"),
        (413, "request_too_large", "budget.tokens"),
    ],
)
def test_a_refusal_for_good_says_what_to_do_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: str, remedy: str
) -> None:
    with messages_server(fails(status, kind, f"bad {KEY}.")) as server:
        message = refused(server, monkeypatch)
    assert remedy in message
    assert f"({status})" in message
    assert "'claude-test'" in message
    assert "bad ***. " in message
    assert len(server.requests) == 1


@pytest.mark.usefixtures("key")
def test_a_spend_limit_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Scripted(
        status=429,
        error={
            "type": "rate_limit_error",
            "message": "spend limit",
            "details": {"error_code": "enforced_spend_limit_reached"},
        },
    )
    with messages_server(limit) as server:
        assert "spend limit" in refused(server, monkeypatch)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("key")
def test_a_server_that_does_not_stream_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Scripted(content=[text("x")], headers={"content-type": "application/json"})
    with messages_server(plain) as server:
        assert "without a stream" in refused(server, monkeypatch)


@pytest.mark.usefixtures("key")
def test_a_login_in_the_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with messages_server(fails(404, "not_found_error")) as server:
        server.url = server.url.replace("//", "//user:hunter2@")
        assert "hunter2" not in refused(server, monkeypatch)


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("address", ["localhost:8080", "ftp://models.example", "//models.example"])
def test_an_address_that_is_none_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", address)
    with pytest.raises(ModelError, match="ANTHROPIC_BASE_URL"):
        choose_model("claude-test")


@pytest.mark.parametrize("bad", ["sk-ant-a\nb", "sk-ant a", "sk-ant-é"])
def test_a_key_that_can_be_none_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", bad)
    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY") as caught:
        choose_model("claude-test")
    assert bad not in str(caught.value)


@pytest.mark.usefixtures("key")
def test_a_server_below_a_path_that_counts_nothing_and_caches_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with messages_server(Scripted(content=[text("Hi.")], lean=True)) as server:
        server.url += "/proxy/v2"
        reply = ask(server, monkeypatch)
    assert (reply.content, reply.stop_reason, reply.usage.cache_read) == ([text("Hi.")], "end_turn", 0)
    assert server.requests[0].path == "/proxy/v2/v1/messages"


def test_without_credentials_nothing_is_sent_and_the_error_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with messages_server(SAID) as server:
        assert "ANTHROPIC_API_KEY" in refused(server, monkeypatch)
    assert server.requests == []


@pytest.mark.usefixtures("key")
def test_a_refusal_keeps_what_the_server_says_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Looks like an exploit."}
    with messages_server(Scripted(stop_reason="refusal", stop_details=details)) as server:
        reply = ask(server, monkeypatch)
    assert (reply.stop_reason, reply.detail, reply.content) == ("refusal", "cyber: Looks like an exploit.", [])


@pytest.mark.usefixtures("key")
def test_a_call_cut_off_at_the_length_limit_is_kept_as_far_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = {"type": "tool_use", "id": "t1", "name": "execute_python", "input": '{"code": "print(1'}
    with messages_server(Scripted(content=[cut], stop_reason="max_tokens")) as server:
        reply = ask(server, monkeypatch)
    assert reply.stop_reason == "max_tokens"
    assert reply.content[0]["id"] == "t1"


def test_the_server_speaks_plain_replies_too() -> None:
    import anthropic  # takes seconds, which every worker would spend on collecting

    with messages_server(SAID) as server:
        client = anthropic.Anthropic(api_key="k", base_url=server.url)
        message = client.messages.create(model="m", max_tokens=10, messages=[{"role": "user", "content": "x"}])
        client.close()
    assert message.content[0].to_dict() == SAID.content[0]


@pytest.mark.parametrize("name", ["claude-test", None])
def test_a_key_that_the_server_refuses_is_told_before_a_run_begins(
    monkeypatch: pytest.MonkeyPatch, key: str, name: str | None
) -> None:
    with messages_server(SAID) as server:
        server.models = 401
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(ModelError, match=r"\(401\): no\. Set ANTHROPIC_API_KEY") as caught:
            choose_model(name)
    assert key not in str(caught.value)
    [(path, headers)] = server.looks
    assert path == f"/v1/models/{name or DEFAULT_MODEL}"
    assert headers["authorization"] == f"Bearer {key}"
    assert server.requests == [], "nothing that costs is sent"


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("status", [200, 403, 404, 405, 429, 500, 529])
def test_what_is_no_plain_refusal_of_the_key_does_not_stop_a_run(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with messages_server(SAID) as server:
        server.models = status
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        assert choose_model("claude-test").name == "claude-test"
    assert len(server.looks) == 1, "it is asked once"


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("body", [b"", b"not found", b"\xff\xfe", b"[]"])
def test_an_answer_that_is_no_model_does_not_stop_a_run(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    with messages_server(SAID) as server:
        server.models = body
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        assert choose_model("claude-test").name == "claude-test"
    assert len(server.looks) == 1


@pytest.mark.usefixtures("key")
def test_a_server_that_can_not_be_reached_or_is_silent_is_left_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claude, "CHECK_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("ANTHROPIC_BASE_URL", address)
        assert choose_model("claude-test").name == "claude-test"
    assert choose_model("claude-test").name == "claude-test", "nobody listens there any more"


def test_a_token_that_may_have_run_out_is_not_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _profile(monkeypatch, tmp_path)
    with messages_server(SAID) as server:
        server.models = 401
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        assert choose_model("claude-test").name == "claude-test"
    assert len(server.looks) == 1


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_key_or_a_token_makes_claude_the_default(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "secret")
    assert default_model() == DEFAULT_MODEL


def test_a_header_that_logs_in_counts_as_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Api-Key: secret")
    assert default_model() == DEFAULT_MODEL


def test_a_profile_on_disk_makes_claude_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    profile = {"version": "1.0", "authentication": {"type": "user_oauth", "client_id": "c"}, "organization_id": "o"}
    (tmp_path / "configs" / "default.json").write_text(json.dumps(profile))
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    assert default_model() == DEFAULT_MODEL


def _profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in ("configs", "credentials"):
        (tmp_path / folder).mkdir()
    profile = {"version": "1.0", "authentication": {"type": "user_oauth"}, "organization_id": "o"}
    (tmp_path / "configs" / "default.json").write_text(json.dumps(profile))
    token = tmp_path / "credentials" / "default.json"
    token.write_text(json.dumps({"version": "1.0", "type": "oauth_token", "access_token": "old"}))
    token.chmod(0o600)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))


def test_a_token_that_ran_out_is_read_anew_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _profile(monkeypatch, tmp_path)

    def renew(body: dict[str, Any]) -> Scripted:
        return SAID if len(server.requests) == 2 else fails(401, "authentication_error")

    with messages_server(then=renew) as server:
        assert ask(server, monkeypatch).content == SAID.content
        assert "(401)" in refused(server, monkeypatch)
    assert len(server.requests) == 4


def test_a_profile_that_is_named_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_PROFILE", "work")
    with pytest.raises(ModelError, match="offline"):
        default_model()


def test_without_credentials_there_is_no_default_model() -> None:
    assert default_model() is None


def test_the_default_model_is_one_the_sdk_knows_and_does_not_deprecate() -> None:
    from anthropic._data.deprecated_models import DEPRECATED_MODELS
    from anthropic.types.model import Model

    assert DEFAULT_MODEL in get_args(get_args(Model)[0])
    assert DEFAULT_MODEL not in DEPRECATED_MODELS


def test_the_sdk_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, cataloger_dagster.agent.claude, cataloger_dagster.agent.loop; print('anthropic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
