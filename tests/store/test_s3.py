"""S3's own ways to fail: lost answers, conflicts, refusals, stores that know less."""

import http.client
import http.server
import io
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from dagster_aws.s3 import S3Resource

from cataloger_dagster.errors import StoreError
from cataloger_dagster.store.objects import Missing, Taken
from cataloger_dagster.store.s3 import S3Objects
from cataloger_dagster.store.snapshots import Store, open_store
from tests.services.ceph import S3
from tests.store.stores import NOW

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Proxy(http.server.ThreadingHTTPServer):
    """Stands before the real S3 and spoils what it is told to: each of *spoil* is used up by one request.

    ``conflict``: answers 409 itself · ``lost``: the answer does not arrive · ``broken``: it becomes a 503 ·
    ``cut``: half of it arrives · ``ignorant``: what is there is forgotten first.
    """

    daemon_threads = True

    def __init__(self, s3: S3) -> None:
        super().__init__(("127.0.0.1", 0), Forward)
        self.target = s3.endpoint.removeprefix("http://")
        self.client = s3.plain_client
        self.spoil: list[tuple[str, str]] = []
        self.seen: list[str] = []

    def handle_error(self, *_: object) -> None:
        """A connection we cut is no news."""


class Forward(http.server.BaseHTTPRequestHandler):
    """Passes a request on, under the name it was signed for."""

    server: Proxy
    protocol_version = "HTTP/1.1"  # the older one has no "100 Continue", for which the client waits a second

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(self.command)
        way = ""
        if self.server.spoil and self.server.spoil[0][0] == self.command:
            way = self.server.spoil.pop(0)[1]
        if way == "conflict":
            self.answer(409, [], b"<Error><Code>ConditionalRequestConflict</Code><Message>wait</Message></Error>")
            return
        if way == "ignorant":
            _, bucket, key = self.path.split("/", 2)
            self.server.client.delete_object(Bucket=bucket, Key=key)
        connection = http.client.HTTPConnection(self.server.target, timeout=20)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        content, status, headers = reply.read(), reply.status, reply.getheaders()
        connection.close()
        if way == "lost":
            self.close_connection = True
        elif way == "broken":
            self.answer(503, [], b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
        elif way == "cut":
            self.answer(status, headers, content[: len(content) // 2], len(content))
        else:
            self.answer(status, headers, content)

    def answer(self, status: int, headers: list[tuple[str, str]], content: bytes, length: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = pass_on

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def proxy(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    # How long boto3 waits before it tries again is a matter of chance: here it is at once.
    monkeypatch.setattr("botocore.retryhandler.random.random", lambda: 0.0)
    server = Proxy(s3)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def objects(s3: S3, proxy: Proxy) -> S3Objects:
    """Objects of the real S3, behind the proxy."""
    return S3Objects(s3.new_bucket(), client=s3.client(endpoint_url=f"http://127.0.0.1:{proxy.server_port}"))


def spoiled(proxy: Proxy, *ways: str, command: str = "PUT") -> None:
    proxy.seen.clear()
    proxy.spoil[:] = [(command, way) for way in ways]


@pytest.mark.parametrize("way", ["lost", "broken"])
def test_a_request_sent_again_knows_its_own_object(objects: S3Objects, proxy: Proxy, way: str) -> None:
    spoiled(proxy, way)
    objects.create("shop/a", b"page")
    assert proxy.seen == ["PUT", "PUT", "HEAD"]
    assert objects.read("shop/a") == b"page"


def test_a_request_sent_again_does_not_claim_the_object_of_another(objects: S3Objects, proxy: Proxy) -> None:
    """Not even one with the same bytes."""
    objects.create("shop/a", b"page")
    spoiled(proxy, "lost")
    with pytest.raises(Taken):
        objects.create("shop/a", b"page")


def test_where_every_answer_is_lost_the_object_itself_tells(objects: S3Objects, proxy: Proxy) -> None:
    spoiled(proxy, *["lost"] * 20)
    objects.create("shop/a", b"page")
    assert objects.read("shop/a") == b"page"


def test_where_every_answer_is_bad_the_error_names_place_and_reason(objects: S3Objects, proxy: Proxy) -> None:
    proxy.target = "127.0.0.1:9"
    with pytest.raises(StoreError, match=f"the store s3://{objects.bucket}/ failed at shop/a: no answer"):
        objects.create("shop/a", b"page")


def test_a_conflict_is_tried_again(objects: S3Objects, proxy: Proxy) -> None:
    spoiled(proxy, "conflict", "conflict")
    objects.create("shop/a", b"page")
    assert proxy.seen == ["PUT", "PUT", "PUT"]


def test_a_conflict_that_does_not_end_is_told(objects: S3Objects, proxy: Proxy) -> None:
    spoiled(proxy, *["conflict"] * 9)
    with pytest.raises(StoreError, match="ConditionalRequestConflict: wait"):
        objects.create("shop/a", b"page")


def test_a_connection_that_breaks_in_the_middle_of_a_page_is_tried_again(objects: S3Objects, proxy: Proxy) -> None:
    objects.create("shop/a", b"page" * 100_000)
    spoiled(proxy, "cut", command="GET")
    assert objects.read("shop/a") == b"page" * 100_000
    assert proxy.seen == ["GET", "GET"]


def test_a_store_that_ignores_if_none_match_is_told(objects: S3Objects, proxy: Proxy) -> None:
    spoiled(proxy, *["ignorant"] * 9)
    told = objects.check()
    assert told is not None
    assert told.startswith(f"s3://{objects.bucket} ignores If-None-Match")
    proxy.spoil.clear()
    assert objects.check() is None


def test_one_failing_write_leaves_no_snapshot(objects: S3Objects, proxy: Proxy) -> None:
    spoiled(proxy, "", *["conflict"] * 9)
    with pytest.raises(StoreError):
        Store(objects).write("shop", "catalog", NOW, {"catalog.py": b""}, lambda _: b"")
    assert objects.keys("") == []


def uses(objects: S3Objects) -> list[Callable[[], object]]:
    return [
        lambda: objects.create("shop/a", b""),
        lambda: objects.read("shop/a"),
        lambda: objects.keys("shop/"),
        lambda: objects.folders(""),
        lambda: objects.delete("shop/a"),
        objects.check,
    ]


def says(objects: S3Objects, *words: str) -> None:
    for use in uses(objects):
        with pytest.raises(StoreError) as told:
            use()
        assert not isinstance(told.value, Missing | Taken)
        for word in (f"s3://{objects.bucket}/", *words):
            assert word in str(told.value)


def test_a_missing_bucket_is_told(s3: S3) -> None:
    says(S3Objects("none-such", client=s3.plain_client), "there is no such bucket; make it")


def test_a_wrong_secret_is_told_and_not_shown(s3: S3) -> None:
    objects = S3Objects(s3.new_bucket(), client=s3.client(aws_secret_access_key="a-wrong-secret"))
    says(objects, "AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError) as told:
        objects.keys("")
    assert "a-wrong-secret" not in str(told.value)


def test_an_unknown_key_is_told(s3: S3) -> None:
    says(S3Objects(s3.new_bucket(), client=s3.client(aws_access_key_id="NOBODY")), "the access key is unknown there")


def test_an_endpoint_that_does_not_answer_is_told(s3: S3) -> None:
    client = s3.client(endpoint_url="http://127.0.0.1:9")
    says(S3Objects("pages", client=client), "no answer", "127.0.0.1:9", "AWS_ENDPOINT_URL")


def test_missing_credentials_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    store = open_store("s3://pages")
    with pytest.raises(StoreError, match="no credentials"):
        store.databases()


def test_a_read_only_account_is_told_and_can_read(s3: S3) -> None:
    bucket, client = s3.new_bucket(), s3.plain_client
    objects = S3Objects(bucket, client=client)
    written = Store(objects).write("shop", "catalog", NOW, {}, lambda _: b"page")
    rule = f"""{{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny", "Principal": "*",
        "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": "arn:aws:s3:::{bucket}/*"}}]}}"""
    client.put_bucket_policy(Bucket=bucket, Policy=rule)
    store = Store(objects)
    assert store.newest("shop", "catalog") == [written]
    assert store.read(written) == b"page"
    with pytest.raises(StoreError, match="access denied; the account needs s3:ListBucket"):
        store.write("shop", "catalog", NOW, {}, lambda _: b"page")


class Body(io.BytesIO):
    """What a reply holds, as urllib3 hands it over."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.getvalue()


@pytest.mark.parametrize(
    ("status", "word", "remedy"),
    [
        (507, "InsufficientStorage", "the store is full; free some space"),
        (403, "QuotaExceeded", "the quota is used up; free some space"),
        (400, "ExpiredToken", "the session token has expired"),
        (301, "PermanentRedirect", "AWS_DEFAULT_REGION"),
        (501, "NotImplemented", "does not know conditional writes"),
        (418, "Teapot", "Teapot: short and stout"),
    ],
)
def test_what_a_store_refuses_is_told_with_a_remedy(
    moto_bucket: str, status: int, word: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    objects = S3Objects(moto_bucket)

    def refuse(**_: Any) -> Any:
        content = f"<Error><Code>{word}</Code><Message>short and stout</Message></Error>".encode()
        return AWSResponse("http://here", status, HTTPHeaders(), Body(content))

    objects._client.meta.events.register_first("before-send.s3.ListObjectsV2", refuse)
    with pytest.raises(StoreError, match=remedy):
        objects.keys("shop/")


def test_the_client_of_dagsters_resource_serves_too(s3: S3) -> None:
    resource = S3Resource(
        endpoint_url=s3.endpoint,
        region_name="us-east-1",
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
    )
    store = Store(S3Objects(s3.new_bucket(), "pages", client=resource.get_client()))
    written = store.write("shop", "catalog", NOW, {}, lambda _: b"page")
    assert store.check() is None
    assert store.read(store.newest("shop", "catalog")[0]) == b"page"
    assert store.address(written).startswith("s3://cataloger-test-")


def test_a_page_in_s3_opens_as_a_page(s3: S3) -> None:
    objects = S3Objects(s3.new_bucket(), client=s3.plain_client)
    objects.create("a.html", b"")
    assert s3.plain_client.head_object(Bucket=objects.bucket, Key="a.html")["ContentType"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("bucket", ["no_such:bucket", "a", "with space"])
def test_a_malformed_bucket_is_told(bucket: str, moto_bucket: str, moto_client: "S3Client") -> None:
    with pytest.raises(StoreError, match="CATALOGER_STORE"):
        S3Objects(bucket, client=moto_client).keys("")


def test_the_environment_makes_the_client(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    store = open_store(f"s3://{s3.new_bucket()}/some/prefix")
    written = store.write("shop", "catalog", NOW, {"catalog.py": b""}, lambda _: b"page")
    assert store.check() is None
    assert store.read(store.newest("shop", "catalog")[0]) == b"page"
    assert store.address(written).endswith("/some/prefix/shop/2026-01-15T10:00:00.123Z/catalog.html")
