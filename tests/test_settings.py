"""The CATALOGER_* variables: their defaults, their values, and what is said of wrong ones."""

from pathlib import Path

import pytest

from cataloger_dagster import __version__
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.settings import VARIABLES, Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment(dict.fromkeys(VARIABLES, ""))
    assert settings == Settings(databases=Path.cwd() / "databases.yaml")
    assert (settings.store, settings.model, settings.sandbox) == ("./catalogs", None, None)
    assert settings.sandbox_image == f"cataloger-sandbox:{__version__}"


def test_every_variable_sets_its_field(tmp_path: Path) -> None:
    values = {
        "CATALOGER_DATABASES": "conf/d.yaml",
        "CATALOGER_STORE": "s3://bucket/prefix",
        "CATALOGER_MODEL": "offline",
        "CATALOGER_EFFORT": "High",
        "CATALOGER_SANDBOX": "docker",
        "CATALOGER_SANDBOX_IMAGE": "registry:5000/team/image:1",
        "CATALOGER_SANDBOX_POOL": "3",
        "CATALOGER_SANDBOX_RUNTIME": "runsc",
        "CATALOGER_UNSAFE_LOCAL": "1",
        "CATALOGER_PROMPTS": str(tmp_path),
        "CATALOGER_CATALOG_PROMPT": "YQ==",
        "CATALOGER_SUMMARY_PROMPT": "Yg==",
    }
    assert set(values) == set(VARIABLES)
    assert Settings.from_environment(values) == Settings(
        databases=Path.cwd() / "conf/d.yaml",
        databases_named=True,
        store="s3://bucket/prefix",
        model="offline",
        effort="high",
        sandbox="docker",
        sandbox_image="registry:5000/team/image:1",
        sandbox_pool=3,
        sandbox_runtime="runsc",
        unsafe_local=True,
        prompts=tmp_path,
        catalog_prompt="YQ==",
        summary_prompt="Yg==",
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CATALOGER_EFFORT", "hihg", "did you mean high"),
        ("CATALOGER_SANDBOX", "dokcer", "did you mean docker"),
        ("CATALOGER_SANDBOX", "none", "it is docker or local"),
        ("CATALOGER_STORE", "gs://bucket", "no store for gs://"),
        ("CATALOGER_STORE", "s3://", "no bucket's name"),
        ("CATALOGER_STORE", "s3://key:hunter2@bucket", "no bucket's name"),
        ("CATALOGER_UNSAFE_LOCAL", "perhaps", "write 1 or 0"),
        ("CATALOGER_SANDBOX_IMAGE", "a b", "no name of an image"),
        ("CATALOGER_SANDBOX_POOL", "-1", "write a number from 0 to 64"),
        ("CATALOGER_SANDBOX_POOL", "65", "write a number from 0 to 64"),
        ("CATALOGER_SANDBOX_RUNTIME", "--privileged", "docker info lists those of the engine"),
        ("CATALOGER_PROMPTS", "/no/such/folder", "no such folder"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable_and_remedy(name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Settings.from_environment({name: value})
    assert str(caught.value).startswith(f"{name}=")
    assert "hunter2" not in str(caught.value)
