"""Where numbers stand in English text: in digits, in words, as dates, shares and times; names and versions are none.

What is done with them (marked, or made claims) is for ``unmeasured.py`` and ``sentences.py`` to say.
"""

import re
from collections.abc import Iterator, Set

_UNITS = "two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_LARGE = "dozen|hundred|thousand|million|billion|trillion"
_MONTHS = "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
_MONTHS = f"(?:{_MONTHS}|Nov(?:ember)?|Dec(?:ember)?)\\.?"

# "one" and "a second" are words of every sentence; a large number makes a numeral of "one" and "a" as well.
_WORD = rf"(?:(?:{_TENS})(?:[- ](?:one|{_UNITS}))?|{_TEENS}|{_UNITS})"
_WORDS = rf"(?:(?:{_WORD}|one|an?)[- ])?(?:{_LARGE})s?(?:[- ](?:and[- ])?(?:{_LARGE}|{_WORD}|one))*|{_WORD}"
_DIGITS = r"[-+−]?\d+(?:[T.,:/'’\u00a0\u202f\u2009–-]?\d+)*"
_NUMERAL = re.compile(
    rf"(?P<digits>(?<!\w)(?<!\w[-–.])(?<!\b[nNmM]:){_DIGITS}(?:\s?(?:%|‰|per ?cent\b))?(?!:[nNmM]\b)"
    rf"(?:\s{_MONTHS}(?:\s\d{{4}})?(?!\w))?)"
    # Of a two-letter code the number is the name.
    rf"|(?P<words>(?<![\w-])(?:{_WORDS})(?:\sper ?cent)?(?![\w]|-[^\W\d]))",
    re.IGNORECASE,
)
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
        yield start, end


def _named(text: str, start: int, end: int, names: Set[str]) -> bool:
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[start:end] in names
