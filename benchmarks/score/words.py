"""The words that made databases are written in: names, places, sentences. No flaw is here."""

import string
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

_FILE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Country:
    """A country as a shop sees it: codes, formats of postcode and phone (# is a digit, ? a letter), cities."""

    code: str
    name: str
    currency: str
    postcode: str
    phone: str
    cities: tuple[tuple[str, str], ...]


COUNTRIES = (
    Country("DE", "Germany", "EUR", "#####", "+49 1## #######",
            (("Berlin", "Berlin"), ("Hamburg", "Hamburg"), ("Munich", "Bavaria"), ("Nuremberg", "Bavaria"),
             ("Cologne", "North Rhine"), ("Dortmund", "North Rhine"), ("Leipzig", "Saxony"))),
    Country("FR", "France", "EUR", "#####", "+33 6 ## ## ## ##",
            (("Paris", "Île-de-France"), ("Lyon", "Rhône-Alpes"), ("Grenoble", "Rhône-Alpes"), ("Lille", "Nord"),
             ("Marseille", "Provence"), ("Toulouse", "Occitanie"))),
    Country("GB", "United Kingdom", "GBP", "??# #??", "+44 7### ######",
            (("London", "Greater London"), ("Manchester", "North West"), ("Liverpool", "North West"),
             ("Leeds", "Yorkshire"), ("Sheffield", "Yorkshire"), ("Bristol", "South West"))),
    Country("IT", "Italy", "EUR", "#####", "+39 3## #######",
            (("Rome", "Lazio"), ("Milan", "Lombardy"), ("Bergamo", "Lombardy"), ("Naples", "Campania"),
             ("Turin", "Piedmont"))),
    Country("ES", "Spain", "EUR", "#####", "+34 6## ### ###",
            (("Madrid", "Madrid Region"), ("Barcelona", "Catalonia"), ("Girona", "Catalonia"),
             ("Valencia", "Valencian Land"), ("Sevilla", "Andalusia"))),
    Country("NL", "Netherlands", "EUR", "#### ??", "+31 6 ########",
            (("Amsterdam", "Holland"), ("Rotterdam", "Holland"), ("Utrecht", "Utrecht Province"))),
    Country("PL", "Poland", "PLN", "##-###", "+48 ### ### ###",
            (("Warsaw", "Masovia"), ("Kraków", "Lesser Poland"), ("Gdańsk", "Pomerania"))),
    Country("US", "United States", "USD", "#####", "+1 ### ### ####",
            (("Boston", "Massachusetts"), ("Chicago", "Illinois"), ("Seattle", "Washington"), ("Denver", "Colorado"))),
    Country("AT", "Austria", "EUR", "####", "+43 6## #######", (("Vienna", "Vienna State"), ("Graz", "Styria"))),
    Country("AU", "Australia", "AUD", "####", "+61 4## ### ###", (("Sydney", "New South Wales"),)),
    Country("SE", "Sweden", "SEK", "### ##", "+46 7# ### ## ##", (("Stockholm", "Svealand"), ("Malmö", "Scania"))),
    Country("IE", "Ireland", "EUR", "?## ?#??", "+353 8# ### ####", (("Dublin", "Leinster"), ("Cork", "Munster"))),
    Country("CH", "Switzerland", "CHF", "####", "+41 7# ### ## ##", (("Zürich", "Canton Zürich"),)),
)  # fmt: skip


@cache
def words(name: str) -> tuple[str, ...]:
    """Return the list of this name in ``words.yaml``."""
    return tuple(str(word) for word in yaml.safe_load(_FILE.read_text(encoding="utf-8"))[name])


def names(rng: np.random.Generator, n: int) -> tuple[list[str], list[str]]:
    """Return first and last names, the common ones far more often than the rare."""
    return pick(rng, words("first names"), n, skew=0.5), pick(rng, words("last names"), n, skew=0.7)


def pick(rng: np.random.Generator, among: Sequence[str], n: int, skew: float = 0.0) -> list[str]:
    """Return *n* of *among*, the k-th in proportion to k^-skew."""
    weights = np.arange(1, len(among) + 1) ** -skew
    chosen = np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(n))
    return [among[min(index, len(among) - 1)] for index in chosen.tolist()]


def filled(rng: np.random.Generator, patterns: Iterable[str]) -> list[str]:
    """Return each pattern with a digit for each # and a capital letter for each ?."""
    chosen = list(patterns)
    drawn = iter(rng.integers(0, 260, sum(pattern.count("#") + pattern.count("?") for pattern in chosen)).tolist())
    put = {"#": lambda: str(next(drawn) % 10), "?": lambda: chr(65 + next(drawn) % 26)}
    return ["".join(put[place]() if place in put else place for place in pattern) for pattern in chosen]


def written(rng: np.random.Generator, pattern: str) -> str:
    """Return one pattern filled."""
    return filled(rng, [pattern])[0]


def patterned(rng: np.random.Generator, pattern: str, n: int) -> list[str]:
    """Return *n* different texts of one pattern."""
    made: dict[str, None] = {}
    while len(made) < n:
        made |= dict.fromkeys(filled(rng, [pattern] * (n - len(made))))
    return list(made)


def sentences(rng: np.random.Generator, n: int) -> list[str]:
    """Return *n* sentences."""
    parts = [pick(rng, words(part), n) for part in ("openings", "middles", "endings")]
    return [f"{opening} {middle} {ending}." for opening, middle, ending in zip(*parts, strict=True)]


def prose(rng: np.random.Generator, n: int, mean: float = 2.5) -> list[str]:
    """Return *n* free texts of two to many sentences, some of them with a number that is nobody's."""
    lengths = 1 + rng.geometric(1 / mean, n)
    drawn = iter(sentences(rng, int(lengths.sum())))
    orders, days = rng.integers(10**6, 10**8, n).tolist(), rng.integers(1, 29, n).tolist()
    numbered = (rng.random(n) < 0.15).tolist()
    texts = []
    for row, length in enumerate(lengths.tolist()):
        parts = [next(drawn) for _ in range(length)]
        if numbered[row]:
            parts.append(f"See order {orders[row]}, {days[row]} March.")
        texts.append(" ".join(parts))
    return texts


def tokens(rng: np.random.Generator, n: int, length: int) -> list[str]:
    """Return different texts of letters, small and large, and digits."""
    alphabet = np.array(list(string.ascii_letters + string.digits))
    made: dict[str, None] = {}
    while len(made) < n:
        made |= dict.fromkeys("".join(row) for row in rng.choice(alphabet, (n - len(made), length)).tolist())
    return list(made)


def eans(rng: np.random.Generator, n: int) -> list[str]:
    """Return EANs of 13 digits with their check digits (GS1 General Specifications, 7.9)."""
    made = []
    for digits in filled(rng, ["40##########"] * n):
        total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
        made.append(digits + str(-total % 10))
    return made


def luhn(digits: str) -> str:
    """Return *digits* with their check digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 if position % 2 else 2)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def cards(rng: np.random.Generator, n: int) -> list[str]:
    """Return card numbers that pass their check."""
    kinds = ("4##############", "51#############", "55#############")
    return [luhn(digits) for digits in filled(rng, pick(rng, kinds, n))]


def ibans(rng: np.random.Generator, n: int) -> list[str]:
    """Return German IBANs with their check digits (ISO 13616-1)."""
    accounts = filled(rng, ["##################"] * n)
    return [f"DE{98 - int(account + '131400') % 97:02d}{account}" for account in accounts]


def one(rng: np.random.Generator, among: Sequence[str]) -> str:
    """Return one of them."""
    return among[int(rng.integers(len(among)))]


def plain(name: str) -> str:
    """Return a name as it stands in an e-mail address: small letters without accents."""
    folded = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss").replace("ł", "l").replace("ı", "i"))
    return folded.encode("ascii", "ignore").decode()
