"""The services themselves: they answer, they are shared, and nothing is left of them."""

import psycopg
import pytest
from playwright.sync_api import Browser

from cataloger_dagster.sandbox import image
from tests.services.ceph import S3
from tests.services.missing import missing
from tests.services.postgres import Postgres, url_with


def test_a_database_is_new_and_a_reader_reads_only(postgres: Postgres) -> None:
    url = postgres.new_database("shop")
    postgres.execute(url, "CREATE TABLE orders (id int)", "INSERT INTO orders VALUES (7)")
    reader = postgres.new_reader(url)
    with psycopg.connect(reader) as connection:
        assert connection.execute("SELECT * FROM orders").fetchall() == [(7,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM orders")


def test_a_wrong_password_is_refused(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url_with(postgres.url, user="admin", password="wrong"))


def test_a_bucket_is_new(s3: S3) -> None:
    bucket = s3.new_bucket()
    s3.plain_client.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert s3.plain_client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


def test_a_server_that_outlives_the_tests_is_left_as_it_was(s3: S3, postgres: Postgres) -> None:
    buckets, server = S3(s3.endpoint, s3.access_key, s3.secret_key), Postgres(postgres.url)
    bucket, url = buckets.new_bucket(), server.new_database()
    s3.plain_client.put_object(Bucket=bucket, Key="a", Body=b"1")
    reader = server.new_reader(url)
    buckets.drop_all()
    server.drop_all()
    assert bucket not in {each["Name"] for each in s3.plain_client.list_buckets()["Buckets"]}
    for gone in (url, reader):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(gone)


def test_the_sandbox_image_is_current(docker_sandbox_image: str) -> None:
    assert image.is_current(docker_sandbox_image)


def test_a_page_opens(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content("<p>here</p>")
    assert page.inner_text("p") == "here"
    page.close()


def test_a_missing_service_is_a_skip_that_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATALOGER_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Thing here: install it"):
        missing("Thing", "install it")


def test_a_missing_service_fails_where_services_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGER_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="no Thing here: install it"):
        missing("Thing", "install it")
