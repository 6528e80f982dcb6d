"""Where things are: postal addresses, and the names and codes of countries, languages and currencies.

The lists are those of mimesis.
"""

import json
import re
from collections.abc import Collection
from functools import cache
from importlib import resources
from zoneinfo import available_timezones

_STREET = re.compile(
    r"\b(?:street|str|strasse|road|rd|avenue|ave|lane|drive|blvd|boulevard|court|terrace|parkway|pkwy|highway|hwy|"
    r"square|close|crescent|grove|alley|trail|turnpike|plaza|loop|way|mews|walk|row|place|pl|cir|circle|st|dr|ln|ct|"
    r"gasse|weg|platz|allee|ring|ufer|damm|rue|chemin|impasse|quai|cours|route|allée|calle|avenida|avda|paseo|carrer|"
    r"camino|glorieta|ronda|plaza|pasaje|callejón|cuesta|rambla|urbanización|acceso|cañada|alameda|vial|via|viale|piazza|"
    r"corso|vicolo|largo|strada|contrada|borgo|stretto|incrocio|canale|rotonda|rua|travessa|praça|praia|estrada|lagoa|"
    r"viaduto|rodovia|trecho|jardim|vila|residencial|fazenda|morro|sítio|loteamento|aeroporto|área|campo|chácara|"
    r"colônia|condomínio|conjunto|distrito|esplanada|estação|favela|feira|ladeira|lago|núcleo|parque|passarela|pátio|"
    r"quadra|recanto|setor|vale|vereda|viela|ulica|ul|aleja|al|plac|pl|os|osiedle|straat|laan|plein|gracht|steeg|pad|"
    r"dreef|hof|kade|singel|baan|ring|gatan|vägen|gränd|stigen|gata|vei|veien|gate|katu|tie|vej|gade|allé|ulice|nám|"
    r"ул|улица|пер|пр|проспект|алл|наб|ш|бул|apt|suite|ste|unit|box|flat|psc|apo|fpo|piso|puerta|bajo|esc)\b\.?"
    r"|\w+(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|ufer|damm|hof|straat|laan|plein|gracht|steeg|dreef|kade|"
    r"singel|pad|baan|weide|gatan|vägen|gränd|stigen|veien|gata|vej|gade|katu|tie|polku|kuja|utca|cesta)\b"
    r"|(?:aleea|[sș]oseaua|bulevardul|drumul|intrarea|calea|pia[tț]a|splaiul|nagar|marg|chowk|h\.? ?no)\b\.?"
    r"|[都道府県市区町村丁目番地号]|[省市区县路街巷号座]|[시도구군동로길]\s?\d",
    re.IGNORECASE,
)
_POSTAL = re.compile(
    r"(?<![\w.,:-])(?:(?!(?:19|20)\d\d$)\d{4,7}|\d{5}-\d{3,4}|\d{3}[ -]\d{2}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[^\W\d]+-\d{6})(?![\w.:-])"
)
_NUMBER = re.compile(r"(?<![\w.])\d{1,5}(?![\w.%]|,\d)|\d/\d|\d[a-z]\b", re.IGNORECASE)
_LINE = re.compile(
    r"(?:(?:Flat|Studio|Apt|Suite|Unit|H\.? ?No\.?) ?\w{1,5}|\d{1,5}[A-Za-z]?(?:/\d{1,4})?),?\s+"
    r"(?:(?![a-zà-öø-ÿ])[^\W\d_][\w'’.-]*\s*){1,4}(?:(?:Apt|Suite|Unit|Flat)\.? ?\w{1,5})?"
)
_HOUSE = re.compile(r"\d")
_HOUSE_CN = re.compile(r"[\u3400-\u9fff]{1,12}[路街巷道][\w-]{1,6}[号號座弄]")
_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

_ISO_639_1 = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee "
    "el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is "
    "it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms "
    "mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk "
    "sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi "
    "yo za zh zu"
)
_LANGUAGES = frozenset(_ISO_639_1.split())


def is_address(text: str) -> bool:
    """Tell whether *text* reads like a postal address, or its line with street and house."""
    if not 4 <= len(text) <= 250 or not _HOUSE.search(text):
        return bool(len(text) <= 250 and _HOUSE_CN.fullmatch(text))
    if len(text) < 5:
        return False
    if _ASIAN.search(text):
        return len(text) >= 6 and bool(_STREET.search(text))
    return len(text.split()) >= 2 and bool(_STREET.search(text)) and sum(c.isalpha() for c in text) >= 4


def is_postal(text: str) -> bool:
    """Tell whether *text* is parts with commas or in lines, the last of which has a postcode, words before it."""
    parts = [part for part in re.split(r"[,\n]", text) if part.strip()]
    if not 2 <= len(parts) <= 6 or not 10 <= len(text) <= 250 or not _POSTAL.search(parts[-1]):
        return False
    return sum(char.isalpha() for char in text) >= 6 and parts[0].strip()[-1:].isalnum()


def has_house_and_postcode(text: str) -> bool:
    """Tell whether *text* is postal and has a house's number before the part with the postcode."""
    head = re.split(r"[,\n]", text.rstrip(" ,\n"))[:-1]
    return is_postal(text) and any(map(_NUMBER.search, head))


def is_street_line(text: str) -> bool:
    """Tell whether *text* is a house's number, or a flat's, and capitalised words."""
    return len(text) <= 80 and bool(_LINE.fullmatch(text))


def variety(texts: Collection[str]) -> float:
    """Return how many different words *texts* have, by the number of texts."""
    found = {word for text in texts for word in re.findall(r"[^\W\d_]{3,}", text.lower())}
    if sum(map(is_asian, texts)) >= 0.5 * len(texts):
        return len(set(texts)) / len(texts)
    return len(found) / len(texts)


def is_asian(text: str) -> bool:
    """Tell whether *text* has Chinese, Japanese or Korean characters."""
    return bool(_ASIAN.search(text))


def is_street(text: str) -> bool:
    """Tell whether *text* names a street, with a house or without."""
    return len(text) <= 120 and bool(_STREET.search(text))


def is_address_shaped(text: str) -> bool:
    """Tell whether *text* may be one where the column says so: words and, mostly, a number."""
    return 4 <= len(text) <= 250 and "@" not in text and "://" not in text and sum(c.isalpha() for c in text) >= 3


@cache
def country_codes() -> frozenset[str]:
    """Return the codes of the world's countries, of two and of three letters (ISO 3166-1)."""
    from mimesis.datasets.int.address import COUNTRY_CODES

    return frozenset(COUNTRY_CODES["a2"]) | frozenset(COUNTRY_CODES["a3"])


@cache
def countries() -> frozenset[str]:
    """Return the names of countries, in English and in their own languages, in small letters."""
    names: set[str] = set()
    for folder in resources.files("mimesis.datasets").iterdir():
        file = folder / "address.json"
        if not folder.name.startswith("_") and file.is_file():
            country = json.loads(file.read_text(encoding="utf-8")).get("country") or {}
            names |= {str(name).lower() for name in country.get("name") or []}
            names.add(str(country.get("current_locale") or "").lower())
    return frozenset(names - {""})


def is_country(text: str) -> bool:
    """Tell whether *text* is the name of a country."""
    plain = re.sub(r"\s*\(.*\)|,.*", "", text).lower()
    return text.lower() in countries() or plain in countries()


def is_country_code(text: str) -> bool:
    """Tell whether *text* is a country's code, in capitals or not."""
    return text.upper() in country_codes()


@cache
def _currency_codes() -> frozenset[str]:
    from mimesis.datasets.int.finance import CURRENCY_ISO_CODES

    return frozenset(CURRENCY_ISO_CODES)


def is_currency_code(text: str) -> bool:
    """Tell whether *text* is a currency's code (ISO 4217)."""
    return text in _currency_codes()


def is_language_code(text: str) -> bool:
    """Tell whether *text* is a language's code (ISO 639-1), with a country or script after it or not."""
    match = re.fullmatch(r"([a-z]{2,3})(?:[-_][A-Za-z]{4})?(?:[-_]([A-Za-z]{2}|\d{3}))?(?:\.UTF-?8)?", text)
    return bool(match) and match is not None and match[1] in _LANGUAGES


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def is_time_zone(text: str) -> bool:
    """Tell whether *text* is the name of a time zone."""
    return text in _time_zones()
