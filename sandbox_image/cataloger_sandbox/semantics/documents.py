"""Numbers that somebody issues to persons: cards, bank accounts, national ids, telephone numbers.

The check digits and number plans are those of python-stdnum and of phonenumbers (Google's libphonenumber).
"""

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

_CARD = re.compile(r"\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}")
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11,16}|6(?:011|5\d\d|4[4-9]\d)\d{12,15}|35(?:2[89]|[3-8]\d)\d{11,12}|(?:2131|1800)\d{11}|62\d{14,17}"
)
"""Visa, Mastercard, American Express, Diners Club, Discover, JCB, UnionPay: first digits and lengths (ISO/IEC 7812)."""

_MAESTRO = re.compile(r"(?:5018|5020|5038|5[6-8]\d\d|6304|67\d\d|50\d\d|63\d\d)\d{8,15}")

_STRONG = (
    # What has letters, dates or two check digits in it: no other numbers pass all by chance.
    *("it.codicefiscale", "es.dni", "es.nie", "fr.nir", "br.cpf", "ro.cnp", "fi.hetu", "mx.curp", "cn.ric", "be.nn"),
    *("bg.egn", "lt.asmens", "ee.ik", "cz.rc", "dk.cpr", "se.personnummer", "no.fodselsnummer", "kr.rrn", "za.idnr"),
    *("ch.ssn", "pl.pesel", "tr.tckimlik", "in_.pan", "lv.pk", "si.emso", "my.nric", "de.idnr", "gr.amka", "ie.pps"),
)
_WEAK = (
    # One check digit over digits alone: every tenth number passes.
    *("nl.bsn", "hr.oib", "il.idnr", "in_.aadhaar", "jp.cn", "ca.sin", "au.tfn", "at.vnr", "gb.nhs", "gb.utr"),
    *("cl.rut", "pt.nif", "nz.ird", "th.pin", "us.itin", "us.ssn", "sg.uen", "pt.cc", "ua.rntrc", "at.tin", "de.stnr"),
    *("id.nik", "pk.cnic", "eg.tn", "ar.cuit", "co.nit", "ec.ci", "pe.cui", "uy.rut", "hu.anum", "is_.kennitala"),
)
_SSN = re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}")
_NINO = re.compile(
    r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]", re.IGNORECASE
)
_PASSPORT = re.compile(r"(?=(?:.*\d){5})[A-Z0-9]{1,3}[ -]?[A-Z0-9]{5,10}|\d{8,9}", re.IGNORECASE)
_ID = re.compile(r"(?=(?:.*\d){4})[A-Z0-9][A-Z0-9 ./+-]{4,22}[A-Z0-9]", re.IGNORECASE)

_PHONE = re.compile(
    r"(?:tel(?:efon)?[.:]?\s*)?\(?(?:\+|00)?[(\d][\d ()\[\]./\u00a0\u2010-\u2013-]{5,22}\d"
    r"(?:\s?(?:x|ext\.?|extension|poste|durchwahl|#)\s?\d{1,6})?",
    re.IGNORECASE,
)
_REGIONS = (
    *("US", "GB", "DE", "FR", "ES", "IT", "NL", "BR", "PL", "JP", "CH", "AT", "BE", "SE", "AU", "IN", "PT", "DK"),
    *("NO", "FI", "CZ", "IE", "MX", "CN", "KR", "RU", "TR", "ZA", "NZ", "AR", "HU", "RO", "GR", "UA", "IL"),
)
_MARKED = re.compile(
    r"(?:\d[ -.]?)?\((?:0\d{1,4}|\d{3}(?=\)[ -.]?\d{3}[ -.]?\d\d)|\d\d(?=\) ?\d{4,5}-\d{4}))\)[ -.]?\d{2}"
)
_EXTENDED = re.compile(r"\d ?(?:x|ext\.?|extension|durchwahl|poste) ?\d{1,6}$", re.IGNORECASE)
_MOBILE_CN = re.compile(r"1[3-9]\d{9}")
_OF_YEAR = re.compile(r"\(?(?:19|20)\d\d[-/. )]")
LEAST = 8
"""Of fewer numbers that nothing marks any may be in some country's plan."""

MARKED = 0.25
"""Where so many of the telephone-shaped values are marked as such, all are."""

_SPLIT = re.compile(r"[ ()./\u2010-\u2013-]")


def is_card(text: str) -> bool:
    """Tell whether *text* is a payment card's number: an issuer's first digits and length, and Luhn's check digit."""
    if not _CARD.fullmatch(text):
        return False
    digits = re.sub(r"\D", "", text)
    return bool(_ISSUERS.fullmatch(digits) or _MAESTRO.fullmatch(digits)) and has_check_digit(digits)


def has_check_digit(text: str) -> bool:
    """Tell whether the digits of *text* end in Luhn's check digit, as those of cards do (ISO/IEC 7812-1, annex B)."""
    from stdnum import luhn

    return len(text) <= 25 and bool(luhn.is_valid(re.sub(r"[ -]", "", text)))


def is_iban(text: str) -> bool:
    """Tell whether *text* is an international bank account number: its form and its check digits (ISO 13616)."""
    compact = re.sub(r"[ -]", "", text).upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", compact):
        return False
    from stdnum.iso7064 import mod_97_10

    return bool(mod_97_10.is_valid(compact[4:] + compact[:4]))


def is_bic(text: str) -> bool:
    """Tell whether *text* has the form of a bank's code (ISO 9362) in a country that there is."""
    if not re.fullmatch(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", text):
        return False
    from cataloger_sandbox.semantics.places import country_codes

    return text[4:6] in country_codes()


@cache
def _modules(names: Sequence[str]) -> list[Any]:
    return [importlib.import_module(f"stdnum.{name}") for name in names if _exists(name)]


def _exists(name: str) -> bool:
    return importlib.util.find_spec("stdnum") is not None and importlib.util.find_spec(f"stdnum.{name}") is not None


def _passes(module: Any, text: str) -> bool:
    return bool(module.is_valid(text))


@cache
def national_id(name: str) -> Callable[[str], bool]:
    """Return the test of one country's ids; *name* is its module in python-stdnum, such as ``es.dni``."""
    module = importlib.import_module(f"stdnum.{name}")
    return lambda text: _passes(module, text)


def national_id_share(values: Sequence[str], named: bool) -> float:
    """Return which share of *values* are national ids, all of one country.

    Where the column is *named* for it, one check digit is proof enough, and other forms of ids are taken too.
    """
    if not values:
        return 0.0
    shaped = [value for value in values if _ID.fullmatch(value)]
    if len(shaped) < 0.5 * len(values):
        return 0.0
    shares = [_share(bool(_SSN.fullmatch(value)) for value in values)]
    shares.append(_share(bool(_NINO.fullmatch(value)) for value in values))
    few = values[:12]
    modules = _modules(_STRONG + (_WEAK if named else ()))
    likely = [each for each in modules if sum(_passes(each, value) for value in few) >= 0.8 * len(few)]
    shares += [_share(_passes(each, value) for value in values) for each in likely]
    best = max(shares)
    if not named and len(values) < 8 and not any(char.isalpha() for value in values for char in value):
        return 0.0  # too few to rule out chance
    if named and best < 0.8:
        # Whatever the country: long enough, digits in it, hardly any value twice.
        best = max(best, 0.8 * _share(len(re.sub(r"\W", "", value)) >= 7 for value in shaped))
    return best


def _share(hits: Iterable[bool]) -> float:
    listed = list(hits)
    return sum(listed) / len(listed) if listed else 0.0


def is_phone_shaped(text: str) -> bool:
    """Tell whether *text* has the form of a telephone number."""
    digits = sum(char.isdigit() for char in text)
    return 7 <= digits <= 20 and len(text) <= 34 and bool(_PHONE.fullmatch(text.strip()))


def phone_share(values: Sequence[str], named: bool) -> float:
    """Return which share of *values* are telephone numbers: international ones, or all of one country's plan.

    A column that is not *named* for it must have them written as telephone numbers are: digits in a row are not enough.
    """
    shaped = [value for value in values if is_phone_shaped(value)]
    if len(shaped) < 0.5 * len(values):
        return 0.0
    if named:
        return len(shaped) / len(values)
    if len(shaped) >= 0.85 * len(values) and _share(map(is_phone_marked, shaped)) >= MARKED:
        # No other numbers have a country's code, an area's in brackets and an extension: then all are telephones'.
        abroad = [value for value in shaped if is_from_abroad(value)]
        if not abroad or _share(map(_has_right_length, abroad)) >= 0.8:
            return len(shaped) / len(values)
    if _share(bool(_MOBILE_CN.fullmatch(value)) for value in values) >= 0.98:
        # In a row, but each begins as a mobile number does, in many ways: numbers that count up begin in few.
        return 0.98 if len({value[1:3] for value in values}) >= 15 else 0.0
    written = [value for value in shaped if len(_SPLIT.findall(value)) >= 2]
    other = _share(bool(_SSN.fullmatch(value) or _OF_YEAR.match(value)) for value in values)
    if len(written) < 0.5 * len(values) or other > 0.5 or len(values) < LEAST:
        return 0.0
    return max((_plan_share(values[:120], each) for each in _REGIONS if _is_likely(shaped[:12], each)), default=0.0)


def _is_likely(few: Sequence[str], region: str) -> bool:
    missed = 0
    for value in few:
        missed += not is_phone(value, region)
        if missed > 0.25 * len(few):
            return False
    return True


def _plan_share(values: Sequence[str], region: str) -> float:
    """Return which share of *values* are in a country's plan; 0 where that plan takes about any digits so written.

    Of all numbers of ten digits four fifths are in the American plan or the German. So nearly all must be, or more
    than of the same digits in another order, but for the first, which is often a zero.
    """
    share = _share(is_phone(value, region) for value in values)
    if share < 0.85:
        return 0.0
    mixed = _share(is_phone(_mixed(value), region) for value in values)
    return share if share - mixed >= 0.15 or share >= 0.97 else 0.0


def _mixed(text: str) -> str:
    digits = [char for char in text if char.isdigit()]
    others = iter([digits[0], *reversed(digits[1:])])
    return "".join(next(others) if char.isdigit() else char for char in text)


def _has_right_length(text: str) -> bool:
    import phonenumbers

    try:
        number = phonenumbers.parse(re.sub(r"^\(?00", "+", text), None)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_possible_number(number))


def is_from_abroad(text: str) -> bool:
    """Tell whether *text* begins as a number with its country's code does."""
    return text.startswith(("+", "00", "(+"))


def is_phone_marked(text: str) -> bool:
    """Tell whether *text* is written as only telephone numbers are: a country's code, an area's in brackets."""
    return is_from_abroad(text) or bool(_MARKED.match(text)) or bool(_EXTENDED.search(text))


def is_phone(text: str, region: str | None) -> bool:
    """Tell whether *text* is a number of its country's plan; *region* is that of numbers without a country's code."""
    import phonenumbers

    try:
        number = phonenumbers.parse(re.sub(r"^\(?00", "+", text), region)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_valid_number(number))
