"""Objects in an S3 bucket, or in any store that speaks S3 and knows ``If-None-Match``."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import botocore.exceptions as failures
from botocore.config import Config

from cataloger_dagster.errors import StoreError
from cataloger_dagster.store.objects import Missing, Taken, checked

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LIST_PAGE = 1000
"""How many keys S3 lists at once."""

ATTEMPTS = 5
WRITER = "cataloger-writer"
NO_CREDENTIALS = (
    failures.NoCredentialsError,
    failures.PartialCredentialsError,
    failures.CredentialRetrievalError,
    failures.ProfileNotFound,
)
TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "py": "text/x-python; charset=utf-8",
}
KEYS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile"
FULL = "free some space or raise the quota, or set CATALOGER_STORE to another place"
RIGHTS = "the account needs s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject here"
REGION = "set AWS_DEFAULT_REGION to the bucket's region"
REASONS = {
    "NoSuchBucket": "there is no such bucket; make it, or correct CATALOGER_STORE",
    "InvalidBucketName": "that is no name of a bucket; correct CATALOGER_STORE",
    "AccessDenied": f"access denied; {RIGHTS}",
    "AllAccessDisabled": "all access to the bucket is switched off",
    "403": f"access denied; {RIGHTS}",
    "InvalidAccessKeyId": f"the access key is unknown there; {KEYS}",
    "SignatureDoesNotMatch": f"the secret key is wrong; {KEYS}",
    "InvalidToken": f"the session token is wrong; {KEYS}",
    "ExpiredToken": f"the session token has expired; {KEYS}",
    "ExpiredTokenException": f"the session token has expired; {KEYS}",
    "RequestTimeTooSkewed": "the clocks of this machine and of the store differ; set this machine's clock",
    "QuotaExceeded": f"the quota is used up; {FULL}",
    "InsufficientStorage": f"the store is full; {FULL}",
    "XMinioStorageFull": f"the store is full; {FULL}",
    "507": f"the store is full; {FULL}",
    "MethodNotAllowed": "the bucket is read-only; set CATALOGER_STORE to one that can be written",
    "PermanentRedirect": f"the bucket is in another region; {REGION}",
    "301": f"the bucket is in another region; {REGION}",
    "AuthorizationHeaderMalformed": f"the bucket is in another region; {REGION}",
    "IllegalLocationConstraintException": f"the bucket is in another region; {REGION}",
    "NotImplemented": "this store does not know conditional writes (If-None-Match), which snapshots need; "
    "set CATALOGER_STORE to one that does",
}


class S3Objects:
    """Objects of *bucket* whose names begin with *prefix*.

    *client* is a ready client (Dagster's resource makes one); by default one from the environment, as every
    AWS client reads it.
    """

    def __init__(self, bucket: str, prefix: str = "", client: "S3Client | None" = None) -> None:
        self.bucket = bucket
        self.prefix = f"{checked(prefix.strip('/'))}/" if prefix.strip("/") else ""
        with self._told(""):
            self._client = client or new_client()
        # Other stores than Amazon's refuse the checksums that boto3 adds by itself; TLS guards the way.
        config = self._client.meta.config
        config.request_checksum_calculation = "when_required"  # type: ignore[attr-defined]
        config.response_checksum_validation = "when_required"  # type: ignore[attr-defined]

    def create(self, key: str, data: bytes) -> None:
        """Put the object unless there is one.

        A request whose answer was lost is sent again, and the second answer says "taken": the writer's mark
        in the object tells whether by us.
        """
        mark = secrets.token_hex(16)
        with self._told(key):
            for attempt in range(ATTEMPTS):
                try:
                    self._put(checked(key), data, mark)
                except failures.ClientError as refusal:
                    said = status(refusal)
                    if said == 409 and attempt + 1 < ATTEMPTS:
                        time.sleep(0.05 * 2**attempt)  # another writer is at it: its end decides
                        continue
                    if (said == 412 or said >= 500) and self._is_ours(key, mark):
                        return
                    if said == 412:
                        raise Taken(f"{self.address(key)}: there is such an object already") from None
                    raise
                except (failures.HTTPClientError, failures.ConnectionError):
                    if not self._is_ours(key, mark):
                        raise
                return

    def read(self, key: str) -> bytes:
        """Get the object; again if the connection breaks in the middle of it."""
        with self._told(key):
            for attempt in range(ATTEMPTS):
                try:
                    return self._client.get_object(Bucket=self.bucket, Key=self.prefix + checked(key))["Body"].read()
                except (failures.ReadTimeoutError, failures.ResponseStreamingError, failures.IncompleteReadError):
                    if attempt + 1 == ATTEMPTS:
                        raise
                except failures.ClientError as refusal:
                    if code(refusal) not in ("NoSuchKey", "404"):
                        raise
                    break
        raise Missing(f"{self.address(key)}: there is no such object in the store")

    def keys(self, prefix: str, after: str = "", limit: int | None = None) -> list[str]:
        """List upwards from *after*, a thousand a request."""
        found: list[str] = []
        with self._told(prefix):
            while limit is None or len(found) < limit:
                page = self._client.list_objects_v2(
                    Bucket=self.bucket,
                    Prefix=self.prefix + prefix,
                    StartAfter=self.prefix + (found[-1] if found else after),
                    MaxKeys=LIST_PAGE if limit is None else min(LIST_PAGE, limit - len(found)),
                )
                found += [entry["Key"].removeprefix(self.prefix) for entry in page.get("Contents", ())]
                if not page["IsTruncated"]:
                    break
        return found

    def folders(self, prefix: str) -> list[str]:
        """List the common prefixes up to the next slash."""
        whole = self.prefix + prefix
        pages = self._client.get_paginator("list_objects_v2")
        with self._told(prefix):
            return [
                entry["Prefix"].removeprefix(whole).rstrip("/")
                for page in pages.paginate(Bucket=self.bucket, Prefix=whole, Delimiter="/")
                for entry in page.get("CommonPrefixes", ())
            ]

    def delete(self, key: str) -> None:
        """Delete the object."""
        with self._told(key):
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + checked(key))

    def address(self, key: str) -> str:
        """Return ``s3://bucket/…``."""
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def check(self) -> str | None:
        """Create one object twice: a store that takes the second one would let runs overwrite each other."""
        # A name that stays: nobody needs the right to delete for it, and the next check is one request.
        for _ in range(2):
            try:
                self.create("_store", b"Cataloger keeps its pages here. Objects are created once and never changed.\n")
            except Taken:
                return None
        return (
            f"s3://{self.bucket} ignores If-None-Match: two runs that start in the same millisecond could overwrite "
            "each other's pages; use a store that knows conditional writes"
        )

    def _put(self, key: str, data: bytes, mark: str) -> None:
        self._client.put_object(
            Bucket=self.bucket,
            Key=self.prefix + key,
            Body=data,
            ContentType=TYPES.get(key.rpartition(".")[2], "application/octet-stream"),
            Metadata={WRITER: mark},
            IfNoneMatch="*",
        )

    def _is_ours(self, key: str, mark: str) -> bool:
        """Whether the object bears our mark; no, where that can't be found out."""
        try:
            head = self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)
        except (failures.ClientError, failures.BotoCoreError):
            return False
        return head["Metadata"].get(WRITER) == mark

    @contextlib.contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Tell people what the store, or the way to it, said."""
        where = f"the store s3://{self.bucket}/{self.prefix} failed" + (f" at {key}" if key else "")
        try:
            yield
        except failures.ClientError as refusal:
            said = refusal.response.get("Error", {})
            reason = REASONS.get(code(refusal)) or f"{code(refusal)}: {said.get('Message') or 'no reason given'}"
            raise StoreError(f"{where}: {reason}") from refusal
        except NO_CREDENTIALS as error:
            raise StoreError(f"{where}: no credentials ({error}); {KEYS}") from error
        except failures.SSLError as error:
            raise StoreError(f"{where}: TLS failed ({error}); check AWS_ENDPOINT_URL and AWS_CA_BUNDLE") from error
        except (failures.HTTPClientError, failures.ConnectionError) as error:
            raise StoreError(f"{where}: no answer ({error}); check AWS_ENDPOINT_URL and the network") from error
        except (failures.BotoCoreError, ValueError) as error:
            raise StoreError(f"{where}: {error}; check CATALOGER_STORE and the AWS_* variables") from error


def new_client() -> "S3Client":
    """Make a client from the environment, as every AWS client reads it."""
    # boto3 waits a minute for a host that does not answer, five times over.
    return boto3.session.Session().client("s3", config=Config(connect_timeout=5))


def status(refusal: failures.ClientError) -> int:
    """Return the HTTP status of a refusal."""
    return int(refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code(refusal: failures.ClientError) -> str:
    """Return the store's word for what is wrong."""
    return str(refusal.response.get("Error", {}).get("Code", ""))
