"""A real S3: Ceph's object gateway on loopback (one monitor, one OSD in memory, one gateway), or a running one.

``CATALOGER_TEST_S3=http://KEY:SECRET@host:port`` names a running one.
"""

import contextlib
import os
import random
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

if TYPE_CHECKING:
    from tests.services.keeper import Keeper

REMEDY = (
    "apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-common, "
    "or name a running S3: CATALOGER_TEST_S3=http://KEY:SECRET@host:port"
)
PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool")

# cephx with a keyring, one copy, few placement groups, everything in memory: what a lone gateway needs to start.
CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon1},v1:127.0.0.1:{mon2}]
mon initial members = a
public network = 127.0.0.0/8
public addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {folder}/keyring
mgr initial modules =
mon data avail warn = 1
mon data avail crit = 0
ms bind ipv6 = false
ms bind port min = {osd_first}
ms bind port max = {osd_last}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
osd crush chooseleaf type = 0
osd class load list = *
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
log file = {folder}/$name.log
[mon]
mon data = {data}/mon
mon cluster log file = {folder}/cluster.log
[osd]
osd data = {data}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd memory target = 939524096
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw enable ops log = false
rgw thread pool size = 16
rgw data = {folder}/run
"""


class S3:
    """A running S3 and an account that may make buckets."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str) -> None:
        self.endpoint, self.access_key, self.secret_key = endpoint, access_key, secret_key
        self.plain_client = self.client()
        self._buckets: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """The variables under which every AWS client, ours too, uses this S3."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self, **replaced: Any) -> S3Client:
        """A new client; making one takes longer than most requests, so ``plain_client`` is there to be shared."""
        options: dict[str, Any] = {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "region_name": "us-east-1",
            "config": Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            ),
        }
        client: S3Client = boto3.session.Session().client("s3", **(options | replaced))
        return client

    def new_bucket(self, name: str = "cataloger-test") -> str:
        """Make an empty bucket with a unique name."""
        bucket = f"{name}-{secrets.token_hex(4)}"
        self.plain_client.create_bucket(Bucket=bucket)
        self._buckets.append(bucket)
        return bucket

    def drop_all(self) -> None:
        """Remove the buckets made here, with what is in them: for a server that outlives the tests."""
        for bucket in self._buckets:
            with contextlib.suppress(ClientError):
                self.plain_client.delete_bucket_policy(Bucket=bucket)
            for page in self.plain_client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for entry in page.get("Contents", ()):
                    self.plain_client.delete_object(Bucket=bucket, Key=entry["Key"])
            self.plain_client.delete_bucket(Bucket=bucket)


def available() -> bool:
    """Whether the gateway's programs are installed."""
    return all(shutil.which(program) for program in PROGRAMS)


def start(keeper: "Keeper") -> dict[str, Any]:
    """Start monitor, OSD and gateway, and make an account."""
    folder, first = keeper.folder, free_ports(40)
    environment = os.environ | {"CEPH_CONF": str(folder / "ceph.conf"), "CEPH_ARGS": ""}
    values = {
        "folder": folder,
        "data": keeper.data,
        "fsid": uuid.uuid4(),
        "port": first,
        "mon1": first + 1,
        "mon2": first + 2,
    }
    values |= {"osd_first": first + 3, "osd_last": first + 39}
    (folder / "ceph.conf").write_text(CONFIGURATION.format(**values))
    for made in (keeper.data / "mon", keeper.data / "osd", folder / "run"):
        made.mkdir()

    def run(*command: str, seconds: float = 30) -> None:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[:3])}: {done.stderr}")

    def until(*command: str, says: str = "", seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=5
                )
                if done.returncode == 0 and says in done.stdout:
                    return
            except subprocess.TimeoutExpired:
                pass  # the monitor is not there yet
            if time.monotonic() > end:
                raise RuntimeError(f"{' '.join(command)} did not say {says!r} within {seconds:.0f} s")
            time.sleep(0.1)

    keys, addresses = str(folder / "keyring"), f"[v2:127.0.0.1:{first + 1},v1:127.0.0.1:{first + 2}]"
    run("monmaptool", "--create", "--fsid", str(values["fsid"]), "--addv", "a", addresses, str(folder / "monmap"))
    caps = {
        "mon.": ("mon=allow *",),
        "client.admin": ("mon=allow *", "osd=allow *", "mgr=allow *"),
        "client.rgw": ("mon=allow rw", "osd=allow rwx", "mgr=allow rw"),
        "osd.0": ("mon=allow profile osd", "osd=allow *", "mgr=allow profile osd"),
    }
    run("ceph-authtool", "--create-keyring", keys)
    for name, rights in caps.items():
        flags = [part for right in rights for part in ("--cap", *right.split("=", 1))]
        run("ceph-authtool", keys, "--gen-key", "-n", name, *flags)
    run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(folder / "monmap"), "--keyring", keys)
    keeper.spawn(["ceph-mon", "-i", "a", "-f"], env=environment)
    until("ceph", "mon", "stat")
    osd = str(uuid.uuid4())
    run("ceph", "osd", "new", osd)
    run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    run("ceph", "osd", "crush", "add", "osd.0", "1.0", "host=localhost", "root=default")
    keeper.spawn(["ceph-osd", "-i", "0", "-f"], env=environment)
    until("ceph", "osd", "stat", says="1 up")
    keeper.spawn(["radosgw", "-n", "client.rgw", "-f"], env=environment)
    endpoint = f"http://127.0.0.1:{first}"
    answers(endpoint, seconds=60)
    access, secret = "AKTEST", secrets.token_hex(16)
    account = ("user", "create", "--uid=cat", "--display-name=cat", f"--access-key={access}", f"--secret-key={secret}")
    run("radosgw-admin", "-n", "client.rgw", *account, seconds=60)
    return {"endpoint": endpoint, "access_key": access, "secret_key": secret}


def answers(endpoint: str, seconds: float) -> None:
    """Wait until the gateway answers at all."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while True:
        try:
            opener.open(endpoint, timeout=5).close()
            return
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise RuntimeError(f"the gateway does not answer: {error}") from None
            time.sleep(0.1)


def free_ports(count: int) -> int:
    """The first of *count* loopback ports in a row, below the range the kernel hands out."""
    while True:
        first = random.randrange(18000, 32000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
