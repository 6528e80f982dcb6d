"""Secrets in running text: keys, tokens, passwords and their hashes, by the shapes that their issuers publish."""

import re
from collections.abc import Iterator
from functools import lru_cache

from cataloger_sandbox.semantics.personal import Span, folded, holds
from cataloger_sandbox.semantics.values import entropy

SHAPES: dict[str, str] = {
    "AWS access key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    "GitLab token": r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_-]{16,}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}",
    "Slack webhook": r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}",
    "Stripe key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|\bwhsec_[A-Za-z0-9+/=]{20,}",
    "API key": r"\bsk-(?:ant-|proj-|svcacct-|or-)?[A-Za-z0-9_-]{13,}|\bsk_[A-Za-z0-9_]{16,}|\bhf_[A-Za-z0-9]{30,}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[0-9A-Za-z_-]{20,}",
    "SendGrid key": r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "Twilio key": r"\b(?:SK|AC)[0-9a-f]{32}\b",
    "package registry token": r"\bnpm_[A-Za-z0-9]{30,}|\bpypi-AgE[A-Za-z0-9_-]{30,}|\brubygems_[0-9a-f]{40,}",
    "DigitalOcean token": r"\bdo[opr]_v1_[0-9a-f]{40,}",
    "Shopify token": r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "Databricks token": r"\bdapi[0-9a-f]{32}\b",
    "Telegram token": r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b",
    "Azure key": r"\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/=]{40,}",
    "JSON Web Token": r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    "private key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:[\s\S]*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|[\s\S]*)",
    "PuTTY key": r"PuTTY-User-Key-File-\d[\s\S]*?Private-MAC: [0-9a-f]+",
    "password hash": r"\$(?:2[abxy]?|y|5|6|7|1|apr1|argon2(?:id?|d)|scrypt|pbkdf2(?:-sha\d+)?|bcrypt-sha256)\$[^\s'\"<>]{20,}"
    r"|\b(?:pbkdf2_sha(?:256|1)|bcrypt(?:_sha256)?|argon2|scrypt|md5|sha1)\$[^\s'\"<>]{0,40}\$[^\s'\"<>]{16,}"
    # Of PostgreSQL, of phpBB and WordPress, of Werkzeug.
    r"|\bSCRAM-SHA-(?:1|256|512)\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+|\bmd5[0-9a-f]{32}\b"
    r"|\$[PH]\$[./0-9A-Za-z]{31}(?![./0-9A-Za-z])"
    r"|\b(?:pbkdf2:sha\d+:\d+|scrypt:\d+:\d+:\d+)\$[^\s$'\"<>]+\$[0-9a-f]{40,}"
    r"|\{(?:SSHA|SHA|SMD5|MD5|CRYPT|SSHA256|SSHA512|PBKDF2)\}[A-Za-z0-9+/=$.]{20,}",
    "password hash of MySQL": r"\*(?<![\w*]\*)[0-9A-F]{40}\b",
    "password in an address": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"<>]{1,64}:(?P<password>[^\s/@'\"<>]{3,})@[\w.-]+",
    "bearer token": r"\b[Bb]earer\s+(?P<bearer>[A-Za-z0-9_\-.=/+]{20,})",
}
"""What a secret is called, and its shape."""

_SIGNS: dict[str, tuple[str, ...]] = {
    "AWS access key": (
        "AKIA",
        "ASIA",
        "ABIA",
        "ACCA",
    ),
    "GitHub token": (
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
    ),
    "GitLab token": (
        "glpat-",
        "gldt-",
        "glrt-",
        "glcbt-",
        "glptt-",
        "glft-",
        "glsoat-",
    ),
    "Slack token": (
        "xox",
        "xapp-",
    ),
    "Slack webhook": ("hooks.slack.com/",),
    "Stripe key": (
        "k_live_",
        "k_test_",
        "whsec_",
    ),
    "API key": (
        "sk-",
        "sk_",
        "hf_",
    ),
    "Google key": (
        "AIza",
        "ya29.",
        "GOCSPX-",
    ),
    "SendGrid key": ("SG.",),
    "Twilio key": (
        "SK",
        "AC",
    ),
    "package registry token": (
        "npm_",
        "pypi-AgE",
        "rubygems_",
    ),
    "DigitalOcean token": ("_v1_",),
    "Shopify token": ("shp",),
    "Databricks token": ("dapi",),
    "Telegram token": (":AA",),
    "Azure key": (
        "AccountKey=",
        "SharedAccessKey=",
    ),
    "JSON Web Token": ("eyJ",),
    "private key": ("PRIVATE KEY",),
    "PuTTY key": ("PuTTY-User-Key-File-",),
    "password hash": (
        "$",
        "md5",
        "{SSHA",
        "{SHA",
        "{SMD5",
        "{MD5",
        "{CRYPT",
        "{PBKDF2",
    ),
    "password hash of MySQL": ("*",),
    "password in an address": ("://",),
    "bearer token": ("earer",),
}
"""Of the pieces given for a shape each secret of it holds one: most texts have none, and are not searched for it."""

_TOLD = re.compile(
    r"(?:pass(?:word|wd|phrase|wort|code)?|pwd|kennwort|secret(?:[_ -]?key)?|api[_ -]?key|access[_ -]?key(?:[_ -]?id)?|auth[_ -]?token|"
    r"access[_ -]?token|client[_ -]?secret|private[_ -]?key|token|mot de passe|contraseña|senha|wachtwoord)"
    r"['\"]?\s*(?:is|ist|est|es|:=?|=>?|lautet)\s*['\"]?(?P<told>[^\s'\",;<>]{6,200})",
    re.IGNORECASE,
)


_WORDS = (
    *("pass", "pwd", "kennwort", "secret", "api", "access", "auth", "client", "private", "token", "contraseña"),
    *("senha", "wachtwoord"),
)
"""The same for what is told, in any case."""


def secrets(text: str) -> Iterator[Span]:
    """Yield where secrets stand in *text*: those of a known shape, and what is told to be a password or key."""
    pattern = _secret(text)
    for match in pattern.finditer(text) if pattern else ():
        group = next((name for name in ("password", "bearer") if match.groupdict().get(name) is not None), 0)
        yield Span(*match.span(group), "secret")
    for match in _TOLD.finditer(text) if holds(folded(text), _WORDS) else ():
        if is_random(match["told"]):
            yield Span(*match.span("told"), "password")


def _secret(text: str) -> re.Pattern[str] | None:
    """Return the pattern of all secrets that may be in *text*; null where none can be."""
    shapes = tuple(shape for shape, signs in _SIGNS.items() if holds(text, signs))
    return _either(shapes) if shapes else None


@lru_cache(maxsize=256)
def _either(shapes: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{SHAPES[shape]})" for shape in shapes))


def is_random(text: str) -> bool:
    """Tell whether *text* looks made up by a machine or for a password: letters with digits or signs among them."""
    kinds = (
        any(char.isdigit() for char in text)
        + any(char.isupper() for char in text)
        + any(char.islower() for char in text)
    )
    kinds += any(not char.isalnum() and char not in "._-()[]/" for char in text)
    if text.endswith((")", "(", "]")) or re.fullmatch(r"[\d.,:/-]+|[A-Za-z_.]+|[a-z_]+\w{0,2}", text):
        return False
    return (kinds >= 3 and len(text) >= 8) or (kinds >= 2 and len(text) >= 16 and entropy(text) >= 3.0)


def is_secret(text: str) -> bool:
    """Tell whether *text* is a secret of a known shape, and little else."""
    pattern = _secret(text)
    match = pattern.search(text) if pattern else None
    return match is not None and match.end() - match.start() >= 0.6 * len(text)


SECRETS_IN_SQL = {
    "secret": (
        r"(AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20}|github_pat_|gl(pat|dt|rt)-[A-Za-z0-9_-]{16}|xox[abeoprs]-[A-Za-z0-9-]{10}"
        r"|hooks[.]slack[.]com/|[rs]k_(live|test)_[A-Za-z0-9]{10}|whsec_[A-Za-z0-9+/=]{20}|sk-[A-Za-z0-9_-]{13}|hf_[A-Za-z0-9]{30}|AIza[0-9A-Za-z_-]{35}"
        r"|ya29[.]|GOCSPX-|SG[.][A-Za-z0-9_-]{16}|(SK|AC)[0-9a-f]{32}|npm_[A-Za-z0-9]{30}|pypi-AgE|do[opr]_v1_|shp(at|ca|pa|ss)_[0-9a-fA-F]{32}"
        r"|dapi[0-9a-f]{32}|AccountKey[=]|SharedAccessKey[=]|eyJ[A-Za-z0-9_-]{8}[A-Za-z0-9_-]*[.][A-Za-z0-9_-]{8}|BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key"
        r"|[$](2[abxy]?|y|5|6|7|1|apr1|argon2(id|i|d)|scrypt|pbkdf2[a-z0-9-]*)[$][^ ]{20}|pbkdf2_sha|[{](SSHA|SHA|SMD5|MD5|CRYPT|SSHA256|SSHA512|PBKDF2)[}]"
        r"|SCRAM-SHA-[0-9]{1,3}[$]|md5[0-9a-f]{32}|[*][0-9A-F]{40}|[$][PH][$][./0-9A-Za-z]{31}|(bcrypt(_sha256)?|argon2|scrypt|md5|sha1)[$]"
        r"|(pbkdf2:sha[0-9]+|scrypt:[0-9]+:[0-9]+):[0-9]+[$]"
        r"|://[^ /:@]{1,64}:[^ /@]{3,64}@[A-Za-z0-9]|[Bb]earer +[A-Za-z0-9_.=/+-]{20}"
    ),
    "password": (
        r"(pass(word|wd|wort)?|Pass(word|wd|wort)?|PASSWORD|pwd|PWD|secret|SECRET|Secret|api[_-]?key|API[_ -]?[Kk](ey|EY)|token|Token|TOKEN)"
        r"['\"]? *(is|ist|:|=)[=>]? *['\"]?[^ ]{8}"
    ),
}
"""The same for a database: a pattern that PostgreSQL, RE2 and Python read alike, and that finds all that may be one.

It holds no secret by its own measure: in a query that shows what was found it would be masked, and could not be run.
"""
