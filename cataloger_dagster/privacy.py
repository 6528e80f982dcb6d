"""Masking: what personal data and secrets become before a model, a page or a record sees them.

First form: e-mail addresses, secrets with a well-known shape, and the database's own password. Semantic
types of columns are not consulted here, and nothing here stops a model that encodes what it reads.
"""

import re
from collections.abc import Callable
from typing import Literal

from cataloger_dagster.facts import Column, Facts, Scalar, Table

Privacy = Literal["schema", "masked", "full"]

_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
# Shapes published by the issuers: AWS access keys, Anthropic/OpenAI/Stripe keys, GitHub and Slack tokens,
# JSON Web Tokens (RFC 7519), crypt(3) password hashes, PEM private keys (RFC 7468).
_SECRET = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bsk[-_][A-Za-z0-9_-]{16,}"
    r"|\b(?:ghp|gho|ghs|ghu|github_pat|glpat|xox[abprs])[-_][A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|\$(?:2[abxy]|5|6|argon2id?|y)\$[^\s'\"]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)


def mask(text: str) -> str:
    """Return *text* with small letters as ``a``, capital ones as ``A`` and digits as ``9``."""
    return "".join(
        "9" if char.isdigit() else "A" if char.isupper() else "a" if char.isalpha() else char for char in text
    )


def cleaner(privacy: Privacy, password: str | None) -> Callable[[str], str]:
    """Return the function through which all text passes that a model, a page or a record will see.

    Secrets and *password* are masked always, personal data unless *privacy* is ``full``.
    """

    def clean(text: str) -> str:
        if password and len(password) >= 4:  # a shorter one would blot out ordinary words
            text = text.replace(password, "***")
        text = _SECRET.sub(lambda match: mask(match[0]), text)
        if privacy != "full":
            text = _EMAIL.sub(lambda match: mask(match[0]), text)
        return text

    return clean


def clean_facts(facts: Facts, clean: Callable[[str], str]) -> Facts:
    """Return *facts* with every value of the database, its comments and its complaints, passed through *clean*."""

    def value(scalar: Scalar) -> Scalar:
        return clean(scalar) if isinstance(scalar, str) else scalar

    def column(column: Column) -> Column:
        return column.model_copy(
            update={
                "min": value(column.min),
                "max": value(column.max),
                "top": column.top and [(value(item), count) for item, count in column.top],
                "quantiles": column.quantiles and {share: value(item) for share, item in column.quantiles.items()},
                "comment": column.comment and clean(column.comment),
                "skipped": column.skipped and clean(column.skipped),  # an engine's complaint quotes the value
            }
        )

    def table(table: Table) -> Table:
        return table.model_copy(
            update={
                "columns": [column(item) for item in table.columns],
                "comment": table.comment and clean(table.comment),
            }
        )

    skipped = [item.model_copy(update={"reason": clean(item.reason)}) for item in facts.coverage.skipped]
    return facts.model_copy(
        update={
            "coverage": facts.coverage.model_copy(update={"skipped": skipped}),
            "tables": [table(item) for item in facts.tables],
            "findings": [item.model_copy(update={"sentence": clean(item.sentence)}) for item in facts.findings],
        }
    )
