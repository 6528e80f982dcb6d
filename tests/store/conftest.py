"""The same objects three times: a folder, moto (quick), a real S3."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from cataloger_dagster.store.folder import FolderObjects
from cataloger_dagster.store.objects import Objects
from cataloger_dagster.store.s3 import S3Objects
from cataloger_dagster.store.snapshots import Store
from tests.services.ceph import S3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="session")
def moto_client() -> "S3Client":
    """A client for moto, which takes over every client made since it was imported."""
    session = boto3.session.Session("testing", "testing", region_name="us-east-1")
    return session.client("s3")


@pytest.fixture
def moto_bucket(moto_client: "S3Client") -> Iterator[str]:
    """A bucket in moto."""
    with mock_aws():
        moto_client.create_bucket(Bucket="pages")
        yield "pages"


@pytest.fixture
def s3_objects(s3: S3) -> S3Objects:
    """Objects of a new bucket of the real S3."""
    return S3Objects(s3.new_bucket(), "some/prefix", client=s3.plain_client)


@pytest.fixture(params=["folder", "moto", pytest.param("s3", marks=pytest.mark.s3)])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """The three places a page can be in."""
    if request.param == "folder":
        return FolderObjects(tmp_path / "catalogs")
    if request.param == "moto":
        return S3Objects(request.getfixturevalue("moto_bucket"), "some/prefix", request.getfixturevalue("moto_client"))
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
