"""What one value of text may be, where no library is needed to tell: each test takes the text and answers."""

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Callable
from math import log2

from cataloger_sandbox.semantics.places import is_currency_code

EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
"""The address that browsers take (WHATWG HTML, valid e-mail address), with a domain of two labels or more."""

LONG = 500
"""A text of so many characters may be cut off."""

_EMAIL = re.compile(rf"(?:[^<>@]{{1,80}}<\s*)?(?:mailto:)?(?:{EMAIL}|[^\s@<>\"(),;:]{{1,64}}@[\w-]+(?:\.[\w-]+)+)\s*>?")
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]{1,20}://|www\.)[^\s/$.?#<>\"][^\s<>\"]*", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,18}", re.IGNORECASE)
_UUID = re.compile(r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?", re.IGNORECASE)
_HASH = re.compile(
    r"(?:(?:md5|sha1|sha256|sha512)[:$])?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})",
    re.IGNORECASE,
)
_MAC = re.compile(
    r"(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}", re.IGNORECASE
)
_XML = re.compile(r"\s*<(?:\?xml\b.*|!DOCTYPE\b.*|([A-Za-z_][\w.:-]*)\b[^<>]*(?:/>|>.*</\1\s*>))\s*", re.DOTALL)
_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:[.,]\d+)?|\d{1,3}(?:[,.' ]\d{3})+(?:[.,]\d+)?|[.,]\d+)(?:e[+-]?\d+)?", re.IGNORECASE
)
_PERCENT = re.compile(r"[+-]?\d{1,4}(?:[.,]\d+)?\s?%")
_MONEY = re.compile(
    r"(?:(?P<code>[A-Z]{3})\s?|[A-Z]{0,2}[$€£¥₹₽₩₺₴₦₫฿₱]\s?|R\$\s?|zł\s?|kr\.?\s?)[+-]?\d[\d.,' \u00a0]*"
    r"|[+-]?\d[\d.,' \u00a0]*\s?(?:[$€£¥₹₽₩₺₴₦₫฿₱]|EUR|USD|GBP|CHF|JPY|PLN|SEK|NOK|DKK|CZK|HUF|BRL|INR|CNY|zł|kr\.?)"
)
_POINT = re.compile(
    r"(?:POINT\s*\(\s*)?[(\[]?\s*(-?\d{1,3}\.\d+)\s*[°]?\s*([NS]?)"
    r"\s*[,; ]\s*(-?\d{1,3}\.\d+)\s*[°]?\s*([EW]?)\s*[)\]]?\)?",
    re.IGNORECASE,
)
_DMS = re.compile(r"\d{1,3}°\s?\d{1,2}['′]\s?(?:\d{1,2}(?:\.\d+)?[\"″])?\s?[NSEW].*", re.IGNORECASE)
_MONTH = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|févr|avr|juin|juil|août|déc|ene|abr|ago|"
    r"dic|gen|mag|giu|lug|set|ott)[a-zéûäç]*\.?"
)
_DATE = re.compile(
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})|"
    r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])|"
    rf"\d{{1,2}}\.?(?:st|nd|rd|th)?[ -](?:de )?{_MONTH}(?: de)?,?[ -]\d{{2,4}}|"
    rf"{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|"
    rf"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? \d{{1,2}} {_MONTH} \d{{4}})"
    r"(?P<time>[T ,]\s?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s?(?:[ap]m)?\s?(?:Z|[A-Z]{2,4}|[+-]\d{2}:?\d{2})?)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?\s?(?:[ap]\.?m\.?)?(?:Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
_PAIRS = {
    frozenset(pair)
    for pair in (
        *(("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"), ("ja", "nein"), ("oui", "non")),
        *(("si", "no"), ("sí", "no"), ("sim", "não"), ("sì", "no"), ("1", "0"), ("active", "inactive"), ("tak", "nie")),
    )
}
_COLOR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)
_PATH = re.compile(r"(?:[A-Za-z]:\\|\\\\|/|~/|\./)(?:[^\s/\\:*?\"<>|]+[/\\])*[^\s/\\:*?\"<>|]+")
_AGENT = re.compile(
    r"(?:Mozilla|Opera|curl|Wget|python-requests|okhttp|Dalvik|PostmanRuntime|Googlebot)/[\d.].*", re.DOTALL
)
_MIME = re.compile(r"(?:application|audio|font|image|message|model|multipart|text|video)/[\w.+-]+(?:;.*)?")
_CODE = re.compile(
    r"(?=.*\d)[A-Za-z0-9]{1,12}(?:[-_/.:#][A-Za-z0-9]{1,12}){0,5}|[A-Z]{1,6}(?:[-_/][A-Z0-9]{1,12}){0,3}"
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_POSTCODE = re.compile(r"(?=.*\d)[A-Z0-9]{2,5}[ -]?[A-Z0-9]{0,5}", re.IGNORECASE)


def is_email(text: str) -> bool:
    """Tell whether *text* is an e-mail address, alone or after a name (``Ann <ann@example.org>``)."""
    return "@" in text and len(text) <= 320 and bool(_EMAIL.fullmatch(text)) and ".." not in text


def is_url(text: str) -> bool:
    """Tell whether *text* is a web address or the like."""
    return bool(_URL.fullmatch(text))


def is_domain(text: str) -> bool:
    """Tell whether *text* is the name of a domain or host."""
    return "." in text and bool(_DOMAIN.fullmatch(text)) and not text.rpartition(".")[2].isdigit()


def is_amount(text: str) -> bool:
    """Tell whether *text* is a sum of money with its currency: the sign, or the code."""
    if len(text) > 30 or text.isdigit() or (match := _MONEY.fullmatch(text)) is None:
        return False
    return match["code"] is None or is_currency_code(match["code"])


def is_ip(text: str) -> bool:
    """Tell whether *text* is an address of IP version 4 or 6, with a network's length or not."""
    if not 2 < len(text) <= 49 or ("." not in text and ":" not in text):
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def is_json(text: str) -> bool:
    """Tell whether *text* is an object or a list in JSON."""
    if len(text) >= LONG:  # cut: its beginning must do
        return bool(re.match(r"[\[{]\s*[\"\[{\d-]", text))
    if text[:1] + text[-1:] not in ("{}", "[]"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_xml(text: str) -> bool:
    """Tell whether *text* is an element of XML or HTML, or a document."""
    if text.lstrip()[:1] != "<":
        return False
    return bool(re.match(r"\s*<[?!A-Za-z]", text)) if len(text) >= LONG else bool(_XML.fullmatch(text))


def is_point(text: str) -> bool:
    """Tell whether *text* is a place on Earth in degrees."""
    match = _POINT.fullmatch(text)
    if match is None:
        return bool(_DMS.fullmatch(text))
    first, second = float(match[1]), float(match[3])
    return min(abs(first), abs(second)) <= 90 and max(abs(first), abs(second)) <= 180


def count_words(text: str) -> int:
    """Return how many words *text* has; where words stand without spaces between them, three characters are one."""
    return len(text.split()) + (0 if text.isascii() else len(_UNSPACED.findall(text)) // 3)


def is_date(text: str) -> bool:
    """Tell whether *text* is a date, or a date and a time, in one of the forms that people and programs write."""
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    numbers = [int(part) for part in re.findall(r"\d+", text[: match.start("time")] if match["time"] else text)]
    return not numbers or len(numbers) == 1 or min(sorted(numbers)[:2]) <= 12 or any(c.isalpha() for c in text)


def entropy(text: str) -> float:
    """Return how many bits a character of *text* holds, by the frequencies in it (Shannon 1948)."""
    return -sum(n / len(text) * log2(n / len(text)) for n in Counter(text).values()) if text else 0.0


TESTS: dict[str, Callable[[str], bool]] = {
    "email": is_email,
    "uuid": lambda text: len(text) >= 32 and bool(_UUID.fullmatch(text)),
    "url": is_url,
    "ip": is_ip,
    "mac_address": lambda text: bool(_MAC.fullmatch(text)),
    "json": is_json,
    "xml": is_xml,
    "hash": lambda text: len(text) >= 32 and bool(_HASH.fullmatch(text)) and not text.isdigit(),
    "date": is_date,
    "time": lambda text: ":" in text and bool(_CLOCK.fullmatch(text)),
    "coordinates": is_point,
    "percentage": lambda text: "%" in text and bool(_PERCENT.fullmatch(text)),
    "number": lambda text: bool(_NUMBER.fullmatch(text)),
    "amount": is_amount,
    "color": lambda text: text[:1] == "#" and bool(_COLOR.fullmatch(text)),
    "user_agent": lambda text: "/" in text and bool(_AGENT.fullmatch(text)),
    "mime_type": lambda text: "/" in text and bool(_MIME.fullmatch(text)),
    "file_path": lambda text: text[:1] in "/\\~." + text[:1] * (text[1:2] == ":") and bool(_PATH.fullmatch(text)),
    "domain": is_domain,
}
"""The tests of values by semantic type, the most telling first."""


def are_booleans(values: set[str]) -> bool:
    """Tell whether *values*, in small letters, are the two ways to say true and false."""
    return len(values) == 2 and frozenset(values) in _PAIRS


def is_code(text: str) -> bool:
    """Tell whether *text* looks like a code: letters and digits in short groups, nothing to read."""
    return bool(_CODE.fullmatch(text))


def is_postcode(text: str) -> bool:
    """Tell whether *text* may be a postcode."""
    return 3 <= len(text) <= 10 and bool(_POSTCODE.fullmatch(text))
