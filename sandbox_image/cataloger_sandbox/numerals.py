"""Where numbers stand in English text: in digits, in words, as dates, shares and times; names and versions are none.

A number is what counts, measures or dates something:

- digits of any script, with what belongs to them: signs, separators, powers, fractions (½, 2¾), superscripts,
  per cent, a month. "3rd" is written in digits, so it is one;
- cardinals in words from two on, zero, dozens and hundreds ("a dozen", "dozens");
- shares and multiples in words: "half", "a third of", "two thirds", "twice", "doubled", "tenfold", "double the rows".

No number is what only names, orders or points: "one" and "a single" (words of every sentence), ordinals in words ("a
second table", "third-party"), "the first half of the year", Roman numerals, "no", "none", "all", "both", "a few",
digits after a letter (H₂O, m², utf8), versions and numbers of standards.

The drafts of ``prose`` quote no text that has some; elsewhere the host marks them or makes claims of them (``report``).
"""

import re
from collections.abc import Iterator, Set

_UNITS = "two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_LARGE = "dozen|hundred|thousand|lakh|million|crore|billion|trillion|quadrillion"
_PARTS = "third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twentieth|hundredth|thousandth"
_MONTHS = "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
_MONTHS = f"(?:{_MONTHS}|Nov(?:ember)?|Dec(?:ember)?)\\.?"

_S = r"(?:-|\s+)"  # between the words of a number
_CENT = r"per\s?cent\b"
# "one" and "a second" are words of every sentence; a large number makes a numeral of "one" and "a" as well.
_WORD = rf"(?:(?:{_TENS})(?:{_S}(?:one|{_UNITS}))?|{_TEENS}|{_UNITS})"
_COUNT = (
    rf"(?:(?:{_WORD}|one|an?){_S})?(?:{_LARGE})s?(?:{_S}(?:and{_S})?(?:{_LARGE}|{_WORD}|one))*"
    rf"|{_WORD}|zero|one(?=\s+{_CENT})"
)
_SHARE = (
    rf"(?:(?:an?|one){_S})?half(?:(?:{_S}an?)?{_S}(?:{_LARGE}))?"
    rf"|an?{_S}(?:{_PARTS}|quarter)(?=\s+of\b)|one{_S}(?:{_PARTS}|quarter(?=\s+of\b))"
    rf"|{_WORD}{_S}(?:halves|quarters|(?:{_PARTS})s)"
)
_MULTIPLE = (
    rf"(?:{_WORD}|(?:an?\s+)?(?:{_LARGE}))-?fold|twice|thrice|doubled|tripled|trebled|quadrupled|halved"
    r"|(?:doubles?|triples?|trebles?|quadruples?|halves)"
    r"(?=\s+(?:the|that|what|those|its|their|each|every|all|as\s+(?:many|much|large|big|long|high|often))\b)"
)
_WORDS = rf"{_MULTIPLE}|(?:{_COUNT}|one){_S}and{_S}an?{_S}(?:half|quarter|third)(?:{_S}(?:{_LARGE}))?|{_SHARE}|{_COUNT}"

_FRACTION = "¼-¾⅐-⅞↉"
_RAISED, _LOWERED = "⁰¹²³⁴-⁹", "₀-₉"
_ENCLOSED = "①-⒛⓪-⓿❶-➓㉈-㉏㉑-㉟㊱-㊿"
_POWER = rf"[⁺⁻]?[{_RAISED}]+|\^[-+−]?\d+"
_DIGITS = (
    r"[-+−±]?\d++(?:[T.,:/'’٫٬⁄\u00a0\u202f\u2009–-]\d++)*+"
    rf"(?:\s?[{_FRACTION}]|[eE][-+−]?\d+(?!\w)|{_POWER})?(?:\s?[×·]\s?10(?:{_POWER}))?"
    rf"|[-+−±]?[{_FRACTION}]|[⁺⁻]?[{_RAISED}]+(?:⁄[{_LOWERED}]+)?|[{_LOWERED}]+|[{_ENCLOSED}]"
)
_NUMERAL = re.compile(
    rf"(?P<digits>(?<!\w)(?<!\w[-–.])(?<!\b[nNmM]:)(?:{_DIGITS})(?:\s?(?:[%‰‱％٪]|{_CENT}))?(?!:[nNmM]\b)"
    rf"(?:\s{_MONTHS}(?:\s\d{{4}})?(?!\w))?)"
    # Of a two-letter code the number is the name.
    rf"|(?P<words>(?<![\w-])(?:{_WORDS})(?:\s+{_CENT})?(?![\w]|-[^\W\d]))",
    re.IGNORECASE,
)
# Half of a stretch of time, or of what is in order, is a place in it.
_PLACE = re.compile(r"\b(?:first|second|last|former|latter|early|late|upper|lower)\s+$", re.IGNORECASE)
_VERSION = re.compile(r"\d{1,3}(?:\.\d{1,3}){2,}")
# What a version or the number of a standard follows.
_BEFORE = 30  # characters; to look through the whole text before each number would take the square of its length
_PRODUCT = re.compile(
    r"(?:\b(?:version|release|v|iso|iec|rfc|din|en|ansi|ieee|ecma|utf|unicode|ascii|html|css|http|tls|python|java"
    r"|duckdb|sqlite|postgres(?:ql)?|mysql|mariadb|oracle|epsg|icd|naics|iso/iec|un/locode|md|sha|crc|windows|latin)"
    r"|\b(?:ISO|IEC|RFC) \d+-)[ -]?$",
    re.IGNORECASE,
)


def numerals(text: str, names: Set[str] = frozenset()) -> Iterator[tuple[int, int]]:
    """Yield from where to where each number in *text* reaches; one that begins one of *names* is none."""
    for match in _NUMERAL.finditer(text):
        start, end = match.span()
        if match["digits"] and (
            _VERSION.fullmatch(match[0])
            or _PRODUCT.search(text, max(0, start - _BEFORE), start)
            or _named(text, start, end, names)
        ):
            continue
        if match["words"] and match[0].lower() == "half" and _PLACE.search(text, max(0, start - _BEFORE), start):
            continue
        yield start, end


def _named(text: str, start: int, end: int, names: Set[str]) -> bool:
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[start:end] in names
