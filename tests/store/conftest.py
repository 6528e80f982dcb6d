"""The same objects three times: a folder, moto (quick), a real S3."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from cataloger_dagster.store.folder import FolderObjects
from cataloger_dagster.store.objects import Objects
from cataloger_dagster.store.s3 import S3Objects
from cataloger_dagster.store.snapshots import Store
from tests.services.ceph import S3


@pytest.fixture
def moto_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket in moto; every client made meanwhile talks to it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="pages")
        yield "pages"


@pytest.fixture
def s3_objects(s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3Objects:
    """Objects of a new bucket of the real S3, with a client from the environment, as in production."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return S3Objects(s3.new_bucket(), "some/prefix")


@pytest.fixture(params=["folder", "moto", pytest.param("s3", marks=pytest.mark.s3)])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """The three places a page can be in."""
    if request.param == "folder":
        return FolderObjects(tmp_path / "catalogs")
    if request.param == "moto":
        return S3Objects(request.getfixturevalue("moto_bucket"), "some/prefix")
    found: S3Objects = request.getfixturevalue("s3_objects")
    return found


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def raced_objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """The places where many write at once; moto is no judge of races."""
    if request.param == "folder":
        return FolderObjects(tmp_path / "catalogs")
    found: S3Objects = request.getfixturevalue("s3_objects")
    return found


@pytest.fixture
def store(objects: Objects) -> Store:
    """A store over each of them."""
    return Store(objects)
