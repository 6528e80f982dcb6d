"""Personal data in running text: where in it e-mail addresses, telephone, card, account and other numbers stand.

What is looked for is what is written in one form only, so that ordinary numbers and names stay: names of persons are
told by their column (``label``), not here.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cataloger_sandbox.semantics import documents
from cataloger_sandbox.semantics.values import is_date


class Span(NamedTuple):
    """A piece of a text, from ``start`` up to ``end``, and what it is."""

    start: int
    end: int
    kind: str


_EMAIL = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~@-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+", re.UNICODE
)
_CARD = re.compile(r"(?<![\w.,+-])\d(?:[ -]?\d){12,18}(?![\w-]|[.,]\d)")
_CARD_IN_TEXT = re.compile(
    r"4\d{12}(?:\d{3})?|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35\d{14}|3[068]\d{12}"
)
_GROUPS = re.compile(r"\d+|\d{4}([ -])\d{4}\1\d{4}\1\d{1,4}|\d{4}([ -])\d{6}\2\d{4,5}")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_ABROAD = re.compile(r"(?<![\w+.])(?:\+|00(?=[1-9]\d))\(?\d[\d ()./\u00a0\u2010-\u2013-]{6,20}\d(?!\w)")
_AT_HOME = re.compile(
    r"(?<![\w.,:/+-])(?:"
    r"\(\d{2,5}\)[ -]?\d{2,5}(?:[ .-]\d{2,5}){1,3}|\(\d{3,5}\) ?\d{4,8}"
    r"|1?[ .-]?\(?[2-9]\d{2}\)?[-.]\d{3}[-.]\d{4}"
    r"|0\d{1,4}[ /-]\d{2,8}(?:[ -]\d{2,5}){0,4}|0\d(?:[ .]\d{2}){4}|[6-9]\d{2} \d{3} \d{3}|[6-9]\d{2} \d{2} \d{2} \d{2}"
    r")(?![\w/:]|[.,-]\d)"
)
_CALLED = re.compile(
    r"\b(?:tele?phone?|telefono?|phone|tel|call|mobile|mobil|cell|handy|fax|ring|whatsapp|sms|rufnummer|"
    r"móvil|portable|telefoon|celular|cellulare)\b(?:(?<=\btel)\.|(?<=\bfax)\.)?(?:[^\W\d]|[ :,#'-]){0,15}?(?<!\w)(\+?\(?\d[\d ()./-]{6,18}\d)(?![\w-])",
    re.IGNORECASE,
)
_BORN = re.compile(
    r"\b(?:born(?: on)?|date of birth|birth ?date|birthday|d\.?o\.?b\.?|geboren(?: am)?|geb\.|geburtsdatum|née? le|"
    r"date de naissance|nacid[oa] el|fecha de nacimiento|nat[oa] il|data di nascita|nascid[oa] em)\s*(?:is|was|:|=|-)?\s*"
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}\.? \w{3,9},? \d{4}|\w{3,9} \d{1,2},? \d{4})",
    re.IGNORECASE,
)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{1,4}:){2,7}(?::?[0-9a-f]{1,4}){1,6}(?![\w:])", re.IGNORECASE)
_ADDRESS = re.compile(
    r"\b\d{1,5}[a-z]?,? (?:(?:[NSEW]|North|South|East|West)\.? )?(?:[A-Z][\w'’.-]+ ){1,3}"
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Terrace|Parkway|Pkwy|Highway|Crescent|"
    r"Close|Way|Place|Square|Trail)\b\.?(?:,? (?:Apt|Suite|Unit|Flat)\.? ?#?\w{1,6})?(?:, [A-Z][\w. ]{2,25})?(?:,? [A-Z]{2} \d{5}(?:-\d{4})?)?"
    r"|\b[A-ZÄÖÜ][\wäöüß-]*(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer|ring|straat|laan|gracht|plein) \d{1,4} ?[a-z]?\b"
    r"(?:,? \d{4,5} [A-ZÄÖÜ][\wäöüß-]+)?"
    r"|\b\d{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|boulevard|place|impasse|chemin|allée|quai|cours) (?:(?:de|du|des|la|le|l'|d') ?)*"
    r"[A-ZÉÈÀ][\wéèàêôîûç'-]+(?: [A-ZÉÈÀ][\wéèàêôîûç'-]+){0,3}(?:,? \d{5} [A-ZÉ][\w-]+)?"
    r"|\b(?:Calle|Avenida|Av\.|Paseo|Plaza|Via|Viale|Piazza|Corso|Rua|Travessa) (?:(?:de|del|della|di|da|do|dos|las?|los) )*"
    r"[A-ZÁÉÍÓÚ][\w'áéíóúñãõç-]+(?: [A-ZÁÉÍÓÚ]?[\w'áéíóúñãõç-]+){0,3},? (?:n\.?º? ?)?\d{1,4}\b"
)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")
_IDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b"), "it.codicefiscale"),
    (re.compile(r"\b\d{8}-?[A-Z]\b"), "es.dni"),
    (re.compile(r"\b[XYZ]-?\d{7}-?[A-Z]\b"), "es.nie"),
    (re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), "br.cpf"),
    (re.compile(r"\b[12]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)\d[\dAB]\d{8}\b"), "fr.nir"),
    (re.compile(r"\b[12] \d{2} \d{2} \d[\dAB] \d{3} \d{3} \d{2}\b"), "fr.nir"),
    (re.compile(r"\b\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]\b"), "fi.hetu"),
    (re.compile(r"\b\d{6}[-+]\d{4}\b"), "se.personnummer"),
    (re.compile(r"\b756\.\d{4}\.\d{4}\.\d{2}\b"), "ch.ssn"),
    (re.compile(r"\b[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d\b"), "mx.curp"),
    (re.compile(r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b"), "be.nn"),
    (re.compile(r"\b\d{17}[\dX]\b"), "cn.ric"),
)
_NINO = re.compile(r"\b(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]\b")
_NAMED_ID = re.compile(
    r"\b(?:ssn|social security(?: number| no\.?)?|passport(?: number| no\.?)?|reisepass(?:nummer)?|national id|tax id|"
    r"steuer-?id|personalausweis|aadhaar|driver'?s licen[cs]e)\s*(?:is|:|=|#|no\.?|number)*\s*([A-Z0-9][A-Z0-9 -]{5,18}\d)\b",
    re.IGNORECASE,
)

_CALLED_BY = (
    *("tel", "phone", "call", "mob", "cel", "handy", "fax", "ring", "whatsapp", "sms", "rufnummer", "móvil"),
    "portable",
)
_BORN_BY = (
    *("born", "birth", "dob", "d.ob", "do.b", "d.o.b", "geb", "né", "nacid", "nacimiento", "nato il", "nata il"),
    *("nascita", "nascid", "naissance"),
)
_NAMED_BY = (
    *("ssn", "social security", "passport", "reisepass", "national id", "tax id", "steuer", "personalausweis"),
    *("aadhaar", "licen"),
)
"""Of the pieces of each of the three, in any case, a text holds one that its pattern fits."""


def folded(text: str) -> str:
    """Return *text* as patterns compare it without regard to case: the Turkish i, with a dot or none, is one for them."""
    return text.replace("İ", "i").casefold().replace("ı", "i")


def holds(text: str, pieces: Iterable[str]) -> bool:
    """Tell whether one of *pieces* is in *text*: far sooner than a pattern would."""
    return any(piece in text for piece in pieces)


def personal(text: str) -> Iterator[Span]:
    """Yield where personal data stand in *text*, in no order; pieces may overlap."""
    if "@" in text:
        yield from (Span(*match.span(), "email") for match in _EMAIL.finditer(text))
    yield from _found(_ADDRESS, "address", text)
    if not any(char.isdigit() for char in text):
        return
    yield from _found(_CARD, "card", text, _is_card)
    yield from _found(_IBAN, "iban", text, documents.is_iban)
    words = folded(text)
    yield from _phones(text, words)
    yield from _ids(text, words)
    if holds(words, _BORN_BY):
        yield from (
            Span(*match.span(1), "date_of_birth")
            for match in _BORN.finditer(text)
            if is_date(match[1]) or match[1][0].isalpha()
        )
    if text.count(".") >= 3:
        yield from _found(_IPV4, "ip", text, _is_public)
    if text.count(":") >= 3:
        yield from _found(_IPV6, "ip", text, _is_public)


def _found(pattern: re.Pattern[str], kind: str, text: str, test: Callable[[str], bool] | None = None) -> Iterator[Span]:
    return (Span(*match.span(), kind) for match in pattern.finditer(text) if test is None or test(match[0]))


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return bool(_GROUPS.fullmatch(text) and _CARD_IN_TEXT.fullmatch(digits)) and documents.has_check_digit(digits)


def _phones(text: str, words: str) -> Iterator[Span]:
    yield from _found(_ABROAD, "phone", text, _is_abroad)
    yield from _found(_AT_HOME, "phone", text, _is_at_home)
    for match in _CALLED.finditer(text) if holds(words, _CALLED_BY) else ():
        if 7 <= sum(char.isdigit() for char in match[1]) <= 15:
            yield Span(*match.span(1), "phone")


def _is_abroad(text: str) -> bool:
    return 8 <= sum(char.isdigit() for char in text) <= 17


def _is_at_home(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    return 9 <= digits <= 13 and not is_date(text)


def _ids(text: str, words: str) -> Iterator[Span]:
    yield from _found(_SSN, "national_id", text)
    yield from _found(_NINO, "national_id", text)
    for pattern, country in _IDS:
        yield from _found(pattern, "national_id", text, documents.national_id(country))
    if holds(words, _NAMED_BY):
        yield from (Span(*match.span(1), "national_id") for match in _NAMED_ID.finditer(text))


def _is_public(text: str) -> bool:
    """Tell whether *text* is an address on the internet; small numbers are rather a version."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global and (address.version == 6 or max(address.packed) > 31)


PERSONAL_IN_SQL = {
    "email": r"[A-Za-z0-9._%+-]@[A-Za-z0-9-]+[.][A-Za-z0-9-]",
    "card": r"(^|[^0-9A-Za-z.,+-])(4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|3[04-8][0-9]{2}|6[045][0-9]{2})"
    r"[ -]?([0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,4}|[0-9]{6}[ -]?[0-9]{4,5})($|[^0-9A-Za-z-])",
    "iban": r"(^|[^A-Za-z0-9])[A-Z]{2}[0-9]{2}([ -]?[A-Z0-9]{4}){2,7}([ -]?[A-Z0-9]{1,3})?($|[^A-Za-z0-9])",
    "phone": r"(^|[^0-9A-Za-z+.])([+]|00[1-9])[(]?[0-9][0-9 ()./-]{6,20}[0-9]($|[^0-9A-Za-z])"
    r"|(^|[^0-9A-Za-z.,:/+-])([(][0-9]{2,5}[)] ?[0-9]{2,5}[ .-]?[0-9]{2,5}|[(]?[2-9][0-9]{2}[)]?[ .-][0-9]{3}[.-][0-9]{4}"
    r"|0[0-9]{1,4}[ /-][0-9]{2,8}([ -][0-9]{2,5}){0,4}|0[0-9]([ .][0-9]{2}){4}|[6-9][0-9]{2} [0-9]{3} [0-9]{3})($|[^0-9A-Za-z/:])"
    r"|([Pp]hone|[Tt]el|[Cc]all|[Mm]obile?|[Cc]ell|[Ff]ax|[Hh]andy|[Tt]el[.]|[Ff]ax[.])[A-Za-z :,#'-]{0,15}[+]?[(]?[0-9][0-9 ()./-]{6,18}[0-9]",
    "national_id": r"(^|[^0-9A-Za-z-])([0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3}[.][0-9]{3}[.][0-9]{3}-[0-9]{2}"
    r"|[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]|[0-9]{8}-?[A-Z]|[XYZ]-?[0-9]{7}-?[A-Z]|[0-9]{6}[-+A][0-9]{3}[0-9A-Y]"
    r"|[12][0-9]{14}|756[.][0-9]{4}[.][0-9]{4}[.][0-9]{2}|[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])($|[^0-9A-Za-z-])",
    "address": r"[0-9],? [A-Z][A-Za-z'-]+ ([A-Z][a-z'-]+ )?(Street|Road|Avenue|Lane|Drive|Boulevard|Blvd|Ave|Rd|St|Court|Terrace)"
    r"|[a-z](stra(ß|ss)e|str[.]|weg|platz|gasse|allee|straat|laan|gracht) [0-9]|[0-9],? (rue|avenue|boulevard|chemin) [a-zA-Z]"
    r"|(Calle|Via|Viale|Piazza|Avenida|Rua) [A-Z][a-z]+.*[0-9]",
    "date_of_birth": r"([Bb]orn( on)?|[Dd]ate of birth|[Bb]irthday|DOB|dob|[Gg]eboren( am)?) ?(is|:)? ?[0-9]",
}
"""The same for a database: by kind, patterns that PostgreSQL, RE2 and Python read alike and that find a little more."""
