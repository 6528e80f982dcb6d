"""The prompts: YAML files with a system text, a task and defaults, rendered with strict variables.

A prompt comes from ``prompts/`` of the package, from a folder of the user's, or from base64 text that
``encode`` makes. Which of the three is settled by ``settings``; nothing here reads the environment.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, ValidationError

from cataloger_dagster.bundled import bundled
from cataloger_dagster.errors import ConfigurationError

VERSION = 1
"""The version of the prompt files' form."""


@dataclass(frozen=True)
class Prompt:
    """What a model is told: how to work, and the task."""

    system: str
    task: str


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: int
    system: str
    task: str
    defaults: dict[str, Any] = {}


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt before its variables are filled in.

    Attributes:
        name: ``catalog`` or ``summary``.
        source: where it was read from, for errors.
        text: the YAML as it was written.
        hash: changes when what the model is told changes; comments and spacing of the YAML do not count.
    """

    name: str
    source: str
    text: str = field(repr=False)
    hash: str
    _file: _File = field(repr=False)

    def render(self, **variables: Any) -> Prompt:
        """Return the prompt with its variables filled in; the file's defaults stand in for those not passed.

        The task begins with its name in a tag, whatever the file says: by it the playbook knows what to do.

        Raises:
            ConfigurationError: the template asks for a variable that nothing provides, or fails otherwise.
        """
        values = {**self._file.defaults, **variables}
        system = self._render("system", self._file.system, values)
        task = self._render("task", self._file.task, values)
        return Prompt(system=system, task=f"{marker(self.name)}\n{task}")

    def _render(self, part: str, text: str, values: Mapping[str, Any]) -> str:
        try:
            return _environment().from_string(text).render(values).strip()
        except UndefinedError as error:
            known = ", ".join(sorted(values))
            raise ConfigurationError(
                f"{self.source}: {part}: {error.message}. Variables there are: {known}."
            ) from error
        except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError) as error:
            raise ConfigurationError(f"{self.source}: {part}: {error}") from error


def marker(name: str) -> str:
    """Return the line by which a task says which one it is."""
    return f"<task>{name}</task>"


def load(name: str, folder: Path | None = None, override: str | None = None) -> PromptTemplate:
    """Read the prompt *name*: from *override* (base64 of its YAML), else from *folder*, else the built-in one.

    A folder that lacks the file leaves the built-in one in place.

    Raises:
        ConfigurationError: it can't be read, or is no valid prompt.
    """
    if override:
        return parse(name, decode(name, override), f"the {name} prompt from the environment")
    own = folder / f"{name}.yaml" if folder else None
    if folder and not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder of prompts. Make it, or leave the setting out.")
    path = own if own and own.is_file() else bundled("prompts") / f"{name}.yaml"
    try:
        return parse(name, path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: there is no prompt {name!r}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: the prompt can't be read: {error}") from error


def parse(name: str, text: str, source: str) -> PromptTemplate:
    """Return the prompt that the YAML *text* holds; *source* is named in errors.

    Raises:
        ConfigurationError: the text is no valid prompt; the message says where.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{source}{line}: this is no YAML: {getattr(error, 'problem', error)}") from error
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(
            f"{source}: {key}: {first['msg']}. A prompt has the keys version, system, task and defaults."
        ) from error
    if file.version != VERSION:
        raise ConfigurationError(f"{source}: version: {file.version} is not known; this release reads {VERSION}.")
    for part, template in (("system", file.system), ("task", file.task)):
        try:
            _environment().parse(template)
        except TemplateSyntaxError as error:
            raise ConfigurationError(f"{source}: {part}, its line {error.lineno}: {error.message}") from error
    canonical = json.dumps(file.model_dump(), sort_keys=True, default=str)
    return PromptTemplate(name, source, text, hashlib.sha256(canonical.encode()).hexdigest()[:16], file)


def encode(text: str) -> str:
    """Return the YAML *text* as the one line that the environment variables take.

    Raises:
        ConfigurationError: it is no valid prompt, which is better known now than at three in the morning.
    """
    parse("prompt", text, "the prompt")
    return base64.b64encode(text.encode()).decode("ascii")


def decode(name: str, encoded: str) -> str:
    """Return the YAML that ``encode`` made *encoded* of.

    Raises:
        ConfigurationError: it is not base64 of UTF-8 text.
    """
    try:
        return base64.b64decode("".join(encoded.split()), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ConfigurationError(
            f"The {name} prompt from the environment is not base64 of UTF-8 text. "
            "Make it with: cataloger prompt encode FILE"
        ) from error


def fenced(text: str, name: str) -> str:
    """Return *text* between tags that it can't close: their name holds a digest of the text itself."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    body = text.strip("\n")
    return f"<{name}-{digest}>\n{body}\n</{name}-{digest}>"


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )
    environment.filters["fenced"] = fenced
    return environment
