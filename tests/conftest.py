"""The services tests share, and an environment without the developer's own settings.

A fixture that needs a service skips in sight where it is missing, naming the remedy;
with ``CATALOGER_REQUIRE_SERVICES=1`` that is a failure.
"""

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, sync_playwright

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox import image
from cataloger_dagster.settings import Settings
from tests.services import ceph
from tests.services import mariadb as mariadbd
from tests.services import postgres as postgresql
from tests.services.ceph import S3
from tests.services.mariadb import MariaDB
from tests.services.missing import missing
from tests.services.postgres import Postgres
from tests.services.shared import base_folder, locked, shared

OURS = ("CATALOGER_", "ANTHROPIC_", "AWS_", "DAGSTER_", "PG")
KEPT = ("CATALOGER_TEST_", "CATALOGER_REQUIRE_SERVICES", "AWS_CA_BUNDLE")
SERVICES = {
    "docker_sandbox_image": "docker",
    "postgres": "postgres",
    "tls_server": "postgres",
    "mariadb": "mariadb",
    "s3": "s3",
    "chromium": "browser",
}


def pytest_configure() -> None:
    """Forget the developer's settings: no test may reach their store, their account or a paid API."""
    for name in list(os.environ):
        if name.startswith(OURS) and not name.startswith(KEPT):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["PGPASSFILE"] = os.environ["PGSERVICEFILE"] = "/nowhere/of-the-tests"
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    # A shell's background job ignores the interrupts that tests send to their children, which inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # until the collection is over: among modules it finds nothing, and takes a tenth of the time


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses a service's fixture carries its marker."""
    for item in items:
        for fixture, marker in SERVICES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


def pytest_collection_finish() -> None:
    """Take what was imported for no garbage: no collection of a long run looks through it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server with SCRAM passwords, where we are superuser."""
    named = os.environ.get("CATALOGER_TEST_POSTGRES")
    if named:
        server = Postgres(named)
        yield server
        server.drop_all()
        return
    if postgresql.binaries() is None:
        missing("PostgreSQL", postgresql.REMEDY)
    with shared("postgres", seconds=60) as told:
        yield Postgres(told["url"])


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB server where we may do all."""
    named = os.environ.get("CATALOGER_TEST_MYSQL")
    if named:
        server = MariaDB(named)
        yield server
        server.drop_all()
        return
    if not mariadbd.available():
        missing("MariaDB", mariadbd.REMEDY)
    with shared("mariadb", seconds=60) as told:
        yield MariaDB(told["url"])


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A real S3 with keys and room for buckets."""
    named = os.environ.get("CATALOGER_TEST_S3")
    if named:
        parts = urlsplit(named)
        endpoint = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        server = S3(endpoint, unquote(parts.username or ""), unquote(parts.password or ""))
        yield server
        server.drop_all()
        return
    if not ceph.available():
        missing("S3", ceph.REMEDY)
    with shared("ceph", seconds=120) as told:
        yield S3(told["endpoint"], told["access_key"], told["secret_key"])


@pytest.fixture(scope="session")
def docker_sandbox_image() -> str:
    """The name of the sandbox's image, current; a stale one is built again on the base that is named for it."""
    # Two clones of different sources can be tested at once, each with an image of its own.
    name = os.environ.get("CATALOGER_TEST_SANDBOX_IMAGE") or Settings(databases=Path()).sandbox_image
    base = os.environ.get("CATALOGER_TEST_BASE_IMAGE")
    with locked(base_folder() / "image.start"):
        try:
            current = image.is_current(name)
        except SandboxError as error:
            missing("Docker engine", f"{error}")
        if not current and base is None:
            remedy = "cataloger sandbox build [--base-image NAME], or CATALOGER_TEST_BASE_IMAGE=NAME to build it here"
            missing(f"current image {name}", remedy)
        if not current:
            image.build(name, base)
    return name


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, driven by Playwright."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("Chromium", "apt-get install chromium")
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync"]
    # No process for each site, nor one kept ready for the next: starting them is most of what a test would take.
    quiet += ["--disable-site-isolation-trials"]
    quiet += ["--disable-features=IsolateOrigins,site-per-process,SpareRendererForSitePerProcess"]
    # Chromium's own sandbox does not start under root.
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, headless=True, chromium_sandbox=os.getuid() != 0, args=quiet
        )
        yield browser
        browser.close()
