"""Where things are: postal addresses, and the names and codes of countries, languages and currencies.

The lists are those of mimesis.
"""

import json
import re
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
    r"|[都道府県市区町村丁目番地号]|[省市区县路街巷号座]|[시도구군동로길]\s?\d",
    re.IGNORECASE,
)
_HOUSE = re.compile(r"\d")
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
    if not 5 <= len(text) <= 250 or not _HOUSE.search(text):
        return False
    if _ASIAN.search(text):
        return len(text) >= 6 and bool(_STREET.search(text))
    return len(text.split()) >= 2 and bool(_STREET.search(text)) and sum(c.isalpha() for c in text) >= 4


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
