"""Where the files outside the package are: the prompts, and what is installed in the sandbox's image.

In a source tree they stand beside the package; the wheel carries them inside it. Reading them is the
business of ``prompts`` and ``sandbox``.
"""

from pathlib import Path
from typing import Literal

from cataloger_dagster.errors import ConfigurationError


def bundled(name: Literal["prompts", "sandbox_image"]) -> Path:
    """Return the folder *name*, in the source tree or in the installed wheel.

    Raises:
        ConfigurationError: the package was installed without it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "bundled" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigurationError(
        f"the folder {name} is missing from this installation of Cataloger; install the wheel, or run from a clone"
    )
