"""The decision what a column holds: its semantic type, whether that is personal data, and how sure this is.

The values decide, by the share of them that pass a type's test; a name that suggests the type lowers the share that
is asked for, and settles what values alone leave open. Where no value may be seen, the name alone counts for little.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cataloger_sandbox.encode import Value
from cataloger_sandbox.engines.base import FieldKind
from cataloger_sandbox.names import is_identifier, table_words
from cataloger_sandbox.semantics import credentials, documents, people, places, values
from cataloger_sandbox.semantics.hints import hints, is_of_people

PERSONAL = frozenset({"email", "phone", "person_name", "address", "card", "iban", "national_id", "ip", "date_of_birth"})
"""The semantic types that are personal data."""

FEW = 25
"""So many values are looked at before a test is made of all."""

MOST = 200

_BY_TYPE = {"uuid": "uuid", "inet": "ip", "cidr": "ip", "macaddr": "mac_address", "macaddr8": "mac_address"} | {
    "json": "json",
    "jsonb": "json",
    "xml": "xml",
    "point": "coordinates",
    "money": "amount",
}
_UNSEEN = {
    "email": "email",
    "phone": "phone",
    "given_name": "person_name",
    "surname": "person_name",
    "full_name": "person_name",
    "date_of_birth": "date_of_birth",
    "iban": "iban",
    "national_id": "national_id",
    "card": "card",
    "ip": "ip",
    "address": "address",
    "secret": "secret",
}
_NO_NAME = frozenset(
    {"city", "state", "country", "country_code", "address", "company", "thing", "order", "url", "version"}
)
"""What a column may be called that holds no names of persons, however alike its values are to these."""


@dataclass(frozen=True)
class Seen:
    """What is known of a column before it is labelled.

    Attributes:
        values: values of a sample as text, without nulls; null where none may be seen.
        rows, nulls, distinct: of the whole column; null where not measured.
        low, high: its least and greatest value.
        key: whether it identifies the rows or refers to what does.
    """

    table: str
    column: str
    kind: FieldKind
    type: str
    values: Sequence[str] | None
    rows: int | None = None
    nulls: int | None = None
    distinct: int | None = None
    low: Value = None
    high: Value = None
    key: bool = False


@dataclass(frozen=True)
class Label:
    """What a column holds. ``confidence`` is from 0 to 1: how far values and name bear it out."""

    semantic_type: str
    confidence: float

    @property
    def pii(self) -> str | None:
        """Return the kind of personal data, or null."""
        return self.semantic_type if self.semantic_type in PERSONAL else None


def label(seen: Seen) -> Label | None:
    """Return what the column holds, or null where nothing special can be told."""
    base = re.sub(r"\(.*|\[.*", "", seen.type.lower()).strip()
    if seen.values is None:
        return _unseen(seen, base)
    if seen.rows and seen.nulls == seen.rows:
        return None
    if base in _BY_TYPE:
        return Label(_BY_TYPE[base], 0.99)
    if seen.kind == "time":
        dated = str(seen.low)[:4].isdigit() and str(seen.low)[4:5] == "-"
        return Label("date_of_birth", 0.9) if dated and "date_of_birth" in hints(seen.column) else None
    if seen.kind == "number":
        return _number(seen)
    return _Text(seen).label() if seen.kind == "text" else None


def _unseen(seen: Seen, base: str) -> Label | None:
    """Label by name and type alone."""
    if base in _BY_TYPE:
        return Label(_BY_TYPE[base], 0.9)
    wanted = {"date_of_birth": ("time", "text"), "phone": ("text", "number"), "card": ("text", "number")}
    wanted["national_id"] = ("text", "number")
    for hint, kind in _UNSEEN.items():
        if hint in hints(seen.column) and seen.kind in wanted.get(hint, ("text",)):
            return Label(kind, 0.4)
    if "name" in hints(seen.column) and is_of_people(seen.table) and seen.kind == "text":
        return Label("person_name", 0.3)
    return None


def _share(test: Callable[[str], bool], found: Sequence[str]) -> float:
    """Return the share of *found* that pass *test*; what hardly any of the first pass is not tried on the rest."""
    few = found[:FEW]
    first = sum(map(test, few)) / len(few)
    if first < 0.3 or len(found) <= FEW:
        return first
    return sum(map(test, found)) / len(found)


def _sure(share: float, hinted: bool) -> float:
    return round(min(0.99, share * (0.98 if hinted else 0.9)), 2)


def _number(seen: Seen) -> Label | None:
    """Label a column of numbers: what they are called decides, if their range agrees."""
    hinted, found = hints(seen.column), list(dict.fromkeys(seen.values or ()))[:MOST]
    low, high = _float(seen.low), _float(seen.high)
    ends = [str(end) for end in (seen.low, seen.high) if end is not None]
    whole = all(re.fullmatch(r"-?\d+", value) for value in [*found[:FEW], *ends]) and "double" not in seen.type
    if whole and not seen.key:
        if "card" in hinted and (share := _share(documents.is_card, found)) >= 0.6:
            return Label("card", _sure(share, True))
        if len(found) >= 20 and (share := _share(documents.is_card, found)) >= 0.95:
            return Label("card", _sure(share, False))
        if (
            "phone" in hinted
            and _share(lambda text: 7 <= len(text.lstrip("-")) <= 15, found) >= 0.8
            and (low or 0) >= 0
        ):
            return Label("phone", 0.85)
        if "national_id" in hinted and (share := documents.national_id_share(found, True)) >= 0.6:
            return Label("national_id", _sure(share, True))
    if low is None or high is None:
        return Label("identifier", 0.8) if seen.key else None
    if whole and "year" in hinted and low >= 1000 and high <= 2200:
        return Label("year", 0.95)
    if "latitude" in hinted and low >= -90 and high <= 90 and not whole:
        return Label("latitude", 0.95)
    if "longitude" in hinted and low >= -180 and high <= 180 and not whole:
        return Label("longitude", 0.95)
    if whole and (seen.key or is_identifier(seen.column, seen.table)):
        return Label("identifier", 0.9)
    if whole and "postcode" in hinted:
        return Label("postcode", 0.8)
    if whole and hinted & {"time"} and low >= 3e8 and high <= 5e9 * 1000 and (high < 5e9 or low > 3e11):
        return Label("unix_time", 0.8)
    if "percentage" in hinted and low >= -100 and high <= 1000:
        return Label("percentage", 0.8)
    if "amount" in hinted:
        return Label("amount", 0.7)
    return None


def _float(value: Value) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


@dataclass
class _Text:
    """A column of text under judgement: each method tries a group of types and returns the label, or null."""

    seen: Seen
    found: list[str] = field(init=False)
    hinted: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.hinted = hints(self.seen.column)
        stripped = (value.strip() for value in self.seen.values or ())
        self.found = list(dict.fromkeys(value for value in stripped if value))[:MOST]

    def label(self) -> Label | None:
        if not self.found:
            return None
        groups = (
            *(self.secret, self.electronic, self.account, self.dated, self.measured, self.document, self.phone),
            *(self.coded, self.address, self.named_place, self.person, self.organization, self.other),
        )
        return next((label for group in groups if (label := group())), None)

    def share(self, test: Callable[[str], bool]) -> float:
        return _share(test, self.found)

    def tried(self, kind: str, test: Callable[[str], bool], plain: float, named: float | None = None) -> Label | None:
        """Label as *kind* if a share of *plain* passes, or of *named* where the column's name suggests it."""
        is_hinted = named is not None and kind in self.hinted
        share = self.share(test)
        return Label(kind, _sure(share, is_hinted)) if share >= (named if is_hinted and named else plain) else None

    def secret(self) -> Label | None:
        if self.share(credentials.is_secret) >= 0.8:
            return Label("secret", 0.95)
        if "secret" not in self.hinted:
            return None
        share = self.share(
            lambda text: len(text) >= 8 and " " not in text and not text.isdigit() and not values.is_email(text)
        )
        ordinary = self.seen.distinct is not None and self.seen.distinct <= 20 and (self.seen.rows or 0) >= 100
        words = self.share(lambda text: (text.isalpha() and text.islower()) or (text.isupper() and len(text) < 12))
        return Label("secret", _sure(share, True)) if share >= 0.8 and not ordinary and words < 0.5 else None

    def electronic(self) -> Label | None:
        tests = values.TESTS
        if found := self.tried("email", tests["email"], 0.8, 0.4):
            return found
        for kind in ("uuid", "url", "mac_address", "json", "xml", "hash", "color", "user_agent", "mime_type"):
            if found := self.tried(kind, tests[kind], 0.85, 0.5):
                return found
        if "version" not in self.hinted and (found := self.tried("ip", tests["ip"], 0.9, 0.5)):
            quads = [[int(part) for part in re.findall(r"\d+", text)[:4]] for text in self.quads()]
            # What begins with few small numbers only is a version, however large its last ones are.
            spread = [max(quad[0] for quad in quads) >= 10, max(map(max, quads)) > 60] if quads else []
            if "ip" in self.hinted or all(spread):
                return found
        return None

    def quads(self) -> list[str]:
        """Return what begins as an IPv4 address does."""
        return [text for text in self.found if re.match(r"\d+\.\d+\.\d+\.\d+(?![\d.])", text)]

    def account(self) -> Label | None:
        return (
            self.tried("iban", documents.is_iban, 0.9, 0.5)
            or self.card()
            or (
                self.tried("bic", documents.is_bic, 0.98, 0.7)
                if "bic" in self.hinted or len(self.found) >= 10
                else None
            )
        )

    def card(self) -> Label | None:
        # Nearly all must have the check digit; first digits of an issuer that few know may be missing here.
        share = self.share(documents.is_card)
        if share >= 0.5 and (
            "card" in self.hinted or (len(self.found) >= 5 and self.share(documents.has_check_digit) >= 0.95)
        ):
            return Label("card", _sure(max(share, 0.9), "card" in self.hinted))
        return None

    def dated(self) -> Label | None:
        share = self.share(values.is_date)
        if share >= 0.6 and "date_of_birth" in self.hinted:
            return Label("date_of_birth", _sure(share, True))
        if share >= 0.9:
            timed = self.share(lambda text: ":" in text)
            return Label("timestamp" if timed >= 0.5 else "date", _sure(share, bool(self.hinted & {"date", "time"})))
        return self.tried("time", values.TESTS["time"], 0.9)

    def measured(self) -> Label | None:
        for kind in ("coordinates", "percentage", "amount"):
            if found := self.tried(kind, values.TESTS[kind], 0.9, 0.7):
                return found
        if values.are_booleans({text.lower() for text in self.found}):
            return Label("boolean", 0.9)
        return None

    def document(self) -> Label | None:
        if "national_id" in self.hinted:
            share = documents.national_id_share(self.found, True)
            return Label("national_id", _sure(share, True)) if share >= 0.6 else None
        if isbn := self.catalog_number():
            return isbn
        if self.hinted & {"order", "phone", "year", "amount", "postcode"} or self.seen.key:
            return None
        share = documents.national_id_share(self.found[:100], False)
        return Label("national_id", _sure(share, False)) if share >= 0.97 else None

    def catalog_number(self) -> Label | None:
        shaped = self.share(lambda text: bool(re.fullmatch(r"[\dX-]{10,17}", text)))
        if shaped < 0.9:
            return None
        from stdnum import ean, isbn

        if len(self.found) >= 5 and self.share(isbn.is_valid) >= 0.95:
            return Label("isbn", 0.95)
        return Label("ean", 0.95) if len(self.found) >= 5 and self.share(ean.is_valid) >= 0.95 else None

    def phone(self) -> Label | None:
        named = "phone" in self.hinted
        identifies = self.seen.key or is_identifier(self.seen.column, self.seen.table)
        numbered = not named and (identifies or self.hinted & {"order", "version", "postcode"})
        if numbered and self.share(documents.is_from_abroad) < 0.5:
            return None
        share = documents.phone_share(self.found, named)
        return Label("phone", _sure(share, named)) if share >= (0.6 if named else 0.75) else None

    def coded(self) -> Label | None:
        """Label the codes and names of countries, currencies, languages and time zones."""
        longest, hinted = max(map(len, self.found[:FEW])), self.hinted
        if longest > 60:
            return None
        regional = self.share(lambda text: len(text) == 5 and text[2] in "-_")
        tried: list[tuple[bool, str, Callable[[str], bool], float, float | None]] = [
            (longest <= 3 and "country_code" in hinted, "country_code", places.is_country_code, 0.9, None),
            (
                longest == 3 and (len(self.found) >= 3 or "currency_code" in hinted),
                *("currency_code", places.is_currency_code, 0.98, 0.8),
            ),
            (
                longest <= 12 and ("language_code" in hinted or regional >= 0.9),
                *("language_code", places.is_language_code, 0.9, 0.6),
            ),
            ("/" in self.found[0] or "UTC" in self.found[0], "time_zone", places.is_time_zone, 0.9, None),
            (
                not hinted & {"given_name", "surname"} and (len(self.found) >= 3 or "country" in hinted),
                # Names of countries are written in many ways, but two dozen of them are nothing else.
                *("country", places.is_country, 0.9 if len(self.found) < 20 else 0.7, 0.6),
            ),
        ]
        labels = (self.tried(kind, test, plain, named) for wanted, kind, test, plain, named in tried if wanted)
        return next((found for found in labels if found), None)

    def address(self) -> Label | None:
        reads = self.share(places.is_address)
        if "address" in self.hinted:
            numbered = self.share(lambda text: any(char.isdigit() for char in text))
            shaped = self.share(places.is_address_shaped)
            street = self.share(places.is_street)
            if shaped >= 0.8 and max(reads, 0.8 * numbered, street) >= 0.4:
                return Label("address", _sure(max(reads, 0.8), True))
            return None
        words = sum(len(text.split()) for text in self.found[:FEW]) / len(self.found[:FEW])
        if words > 14 or self.hinted & {"company", "thing", "order", "free_text"}:
            return None
        # Streets have names of their own: things that are of a street's kind by a word, as rings, have few words.
        named = places.variety(self.found)
        if reads >= (0.7 if named >= 0.5 and len(self.found) >= 20 else 0.85) and named > 0.25:
            return Label("address", _sure(reads, False))
        if "thing" in hints("_".join(table_words(self.seen.table)[-1:])) or named < 0.5 or len(self.found) < 20:
            return None
        post = self.share(places.is_postal)
        ordinary = self.share(lambda text: people.is_of_ordinary_words(re.split(r"[\d,]", text)[0]))
        bare = self.share(lambda text: text.rpartition(",")[2].strip().isdigit())
        if post >= 0.85 and (ordinary < 0.1 or bare < 0.5) and self.share(places.has_house_and_postcode) >= 0.4:
            return Label("address", _sure(post, False))
        line = self.share(places.is_street_line)
        return Label("address", _sure(line, False)) if line >= 0.9 and reads >= 0.2 else None

    def named_place(self) -> Label | None:
        if "postcode" in self.hinted and self.share(values.is_postcode) >= 0.8:
            return Label("postcode", 0.9)
        letters = self.share(lambda text: not any(char.isdigit() for char in text) and len(text) <= 60)
        for kind in ("city", "state"):
            if kind in self.hinted and letters >= 0.9:
                return Label(kind, 0.8)
        return None

    def person(self) -> Label | None:
        hinted = self.hinted
        certain = hinted & {"given_name", "surname", "full_name"}
        sure_thing = hinted & _NO_NAME and not certain and "role" not in hinted
        if sure_thing or self.share(people.is_name_shaped) < 0.7 or self.share(people.is_company) >= 0.4:
            return None
        listed, full = self.share(people.is_listed), self.share(people.is_full_name)
        paired = self.share(people.is_of_two) if self.share(people.is_company) < 0.1 else 0.0
        if certain:
            # What is called a first name needs no list: the world has more names than any.
            enough = listed >= 0.3 or paired >= 0.95 or not hinted.isdisjoint({"given_name", "surname"})
            return Label("person_name", _sure(max(listed, 0.6), True)) if enough else None
        if "role" in hinted:
            return Label("person_name", _sure(max(full, listed), True)) if full >= 0.5 or listed >= 0.85 else None
        if "name" in hinted and is_of_people(self.seen.table):
            enough = full >= 0.4 or listed >= 0.6 or paired >= 0.95
            return Label("person_name", _sure(max(full, listed, 0.6), True)) if enough else None
        if len(self.found) < 4 or (hinted & {"free_text"} and full < 0.9):
            return None
        return self.unnamed_person(full, paired)

    def unnamed_person(self, full: float, paired: float) -> Label | None:
        """Label as names of persons what no name of a column calls so: the values alone must tell it."""
        rows_are = hints("_".join(table_words(self.seen.table)[-1:]))
        if rows_are & {"thing", "company", "city", "state", "country"} and full < 0.9:
            return None
        if self.share(places.is_asian) >= 0.5:
            # Any other word may begin with the character of a surname.
            short = self.share(lambda text: len(text) <= (5 if " " not in text else 9))
            enough = full >= 0.95 and short >= 0.95 and len(self.found) >= 20
            return Label("person_name", _sure(full, False)) if enough else None
        # Things have given names too, as storms: not where the name is that of what the rows are.
        alone = paired < 0.5 and len(self.found) >= 40 and "name" not in self.hinted
        if alone and (given := self.share(people.is_given)) >= 0.65:
            return Label("person_name", _sure(given, False))
        if (paired < 0.85 and full < 0.75) or self.share(people.is_of_ordinary_words) >= 0.2:
            return None
        led = sum(map(people.is_led_by_name, self.found)) / len(self.found)
        firsts, lasts = people.variety(self.found)
        # Of things named after persons few kinds follow the name, and none is a surname.
        follows = lasts >= 0.15 or full >= 0.05 or len(self.found) < 20
        if full >= 0.75 or (led >= 0.65 and follows):
            return Label("person_name", _sure(max(full, led), False))
        # Where the lists have few of a country's names, some in many different ones are enough.
        if paired < 0.9 or len(self.found) < 20 or max(firsts, lasts) < 0.4 or min(firsts, lasts) < 0.15:
            return None
        if sum(map(people.is_company, self.found)) >= 0.05 * len(self.found):
            return None
        ended = sum(map(people.is_surname_ended, self.found)) / len(self.found)
        listed = sum(map(people.is_listed, self.found)) / len(self.found)
        telling = ended >= 0.5 or led >= 0.3 or ended + led >= 0.45 or (listed >= 0.25 and led >= 0.2)
        return Label("person_name", _sure(max(led, ended, 0.7), False)) if telling else None

    def organization(self) -> Label | None:
        firms = self.share(people.is_company)
        if ("company" in self.hinted and firms >= 0.2) or firms >= 0.6:
            words = sum(len(text.split()) for text in self.found[:FEW]) / len(self.found[:FEW])
            return Label("company", _sure(max(firms, 0.7), "company" in self.hinted)) if words <= 7 else None
        if "username" in self.hinted and self.share(lambda text: bool(re.fullmatch(r"[\w.@+-]{2,40}", text))) >= 0.9:
            return Label("username", 0.8)
        return None

    def other(self) -> Label | None:
        seen = self.seen
        if self.share(values.TESTS["number"]) >= 0.95:
            if is_identifier(seen.column, seen.table) or "order" in self.hinted or seen.key:
                return Label("identifier", 0.8)
            return Label("number", 0.8)
        if self.share(values.is_domain) >= 0.9:
            return Label("domain", 0.85)
        if self.share(values.TESTS["file_path"]) >= 0.9:
            return Label("file_path", 0.8)
        words = sum(map(values.count_words, self.found)) / len(self.found)
        if words >= 5 or (words >= 3 and "free_text" in self.hinted):
            return Label("free_text", 0.8)
        code = self.share(values.is_code)
        if seen.key or (is_identifier(seen.column, seen.table) and code >= 0.8):
            return Label("identifier" if code < 0.8 or seen.distinct == seen.rows else "code", 0.8)
        if code >= 0.95:
            return Label("code", 0.7)
        if seen.distinct is not None and seen.rows and seen.distinct <= 50 and seen.distinct <= seen.rows / 20:
            return Label("category", 0.7)
        return None
