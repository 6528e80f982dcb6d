"""What should not stand where it does: personal data in free text or under no name, secrets, orders to a model.

A pattern that databases read finds what may be one; what is found is then judged here, and counted in the whole column
by a pattern that fits it alone. Of large tables a sample is searched. Evidence shows keys, never the value itself.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cataloger_sandbox.engines.base import Field, QueryFailed, literal
from cataloger_sandbox.flaws.evidence import count_rows
from cataloger_sandbox.flaws.finding import Finding, Severity
from cataloger_sandbox.judging import Unjudged
from cataloger_sandbox.names import words
from cataloger_sandbox.semantics.credentials import SECRETS_IN_SQL, secrets
from cataloger_sandbox.semantics.hints import hints
from cataloger_sandbox.semantics.instructions import ORDERS_IN_SQL, addresses_a_model, order_in
from cataloger_sandbox.semantics.personal import PERSONAL_IN_SQL, personal
from cataloger_sandbox.survey import Profile, Survey

CANDIDATES = 5_000
"""So many texts that may hold something are judged, of each column and kind."""

CUT = 4_000
"""So many characters of each."""

SHORTEST = {"pii_exposed": 7, "secret_exposed": 12, "suspicious_instruction": 16}
"""A column whose longest value is shorter can't hold it."""

_CALLED = {
    "email": "e-mail addresses",
    "phone": "telephone numbers",
    "card": "card numbers",
    "iban": "bank accounts",
    "national_id": "national ids",
    "ip": "IP addresses",
    "address": "postal addresses",
    "person_name": "names of persons",
    "date_of_birth": "dates of birth",
}
_GRAVE = frozenset({"card", "iban", "national_id"})
_NAMED_FOR = {
    "email": {"email", "username", "role", "full_name"},
    "phone": {"phone", "role"},
    "card": {"card"},
    "iban": {"iban"},
    "national_id": {"national_id"},
    "address": {"address", "coordinates"},
    "person_name": {"given_name", "surname", "full_name", "role", "name", "username"},
}
"""What a column of each kind may be called, so that nobody wonders."""

_TITLES = {"title", "titles", "headline", "song", "film", "movie", "book", "album", "track"}

_SAID_BY = {"iban": {"account", "accounts", "acct", "konto", "bank"}, "card": {"card", "cards"}}
"""Words of a name that say it as well."""

_NO_ACTORS = frozenset(
    {"number", "order", "other", "letter", "header", "footer", "folder", "parameter", "filter", "color", "error"}
    | {"sector", "factor", "vector", "descriptor", "marker", "identifier", "register", "paper", "answer", "list"}
)

_STRUCTURED = frozenset(
    {"uuid", "hash", "date", "timestamp", "time", "number", "boolean", "color", "mac_address", "currency_code", "bic"}
    | {"country_code", "language_code", "time_zone", "percentage", "amount", "coordinates", "isbn", "ean", "mime_type"}
)
_CLOSED = {
    "pii_exposed": _STRUCTURED
    | {"url", "code", "identifier", "domain", "user_agent", "company", "city", "country", "secret"},
    "secret_exposed": _STRUCTURED - {"hash"} | {"email", "phone", "ip"},
    "suspicious_instruction": _STRUCTURED | {"email", "phone", "ip", "code", "iban", "card", "domain", "secret"},
}
"""Semantic types that leave no room for it."""

_SHORT = frozenset({"code", "identifier", "date", "timestamp", "time", "number", "phone", "country", "secret"})
LONGER = 10
"""A value of such a type that is twice as long as most, and so many characters more, holds more than that."""


CHARACTERS = 20_000
"""Of a text so many characters are searched."""

_USUAL = 50
"""Texts have about so many characters; where they have more, fewer of them are searched."""


@dataclass(frozen=True)
class _Search:
    """One kind of finding: by what patterns a database finds candidates, and what one of them turns out to hold.

    The patterns are tried as one expression, or each ``apart``.
    """

    kind: str
    patterns: Mapping[str, str]
    lower: bool
    judge: Callable[[str], set[str]]
    apart: bool = False

    def where(self, survey: Survey, text: str, kinds: Iterable[str] = ()) -> str:
        """Return the condition that *text* (as SQL) may hold something, or one of *kinds* alone."""
        wanted = [self.patterns[kind] for kind in kinds if kind in self.patterns] or list(self.patterns.values())
        read = f"lower({text})" if self.lower else text
        conditions = [survey.engine.matches(read, each) for each in (wanted if self.apart else ["|".join(wanted)])]
        return conditions[0] if len(conditions) == 1 else f"({' OR '.join(conditions)})"


def _personal_kinds(text: str) -> set[str]:
    """Return the kinds of personal data in *text*; what stands in a secret (``password@host``) is that secret's."""
    hidden = list(secrets(text))
    return {
        span.kind
        for span in personal(text)
        if not any(span.start < secret.end and secret.start < span.end for secret in hidden)
    }


_SECRETS = _Search("secret_exposed", SECRETS_IN_SQL, False, lambda text: {span.kind for span in secrets(text)})
_PERSONS = _Search("pii_exposed", PERSONAL_IN_SQL, False, _personal_kinds)
_ORDERS = _Search(
    "suspicious_instruction",
    ORDERS_IN_SQL,
    True,
    lambda text: {"order"} if addresses_a_model(text) else set(),
    apart=True,
)


def exposed_secrets(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield the columns of text that hold secrets."""
    return _exposed(survey, profile, _SECRETS)


def exposed_persons(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield the columns of text that hold personal data where none is expected."""
    return _exposed(survey, profile, _PERSONS)


def exposed_orders(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield the columns of text that hold orders to a model."""
    return _exposed(survey, profile, _ORDERS)


def _exposed(survey: Survey, profile: Profile, search: _Search) -> Iterator[Finding]:
    if not profile.values or not profile.rows:
        return
    survey.expect(profile)
    fields = [field for field in profile.relation.fields if field.readable and profile.kinds[field.name] == "text"]
    open_to = [field for field in fields if _is_open(profile, field, search.kind)]
    for field in _hit(survey, profile, search, open_to):
        if finding := _judged(survey, profile, search, field):
            yield finding


def nameless(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield the columns of personal data whose names do not say so, and those of secrets."""
    if not profile.values or not profile.rows:
        return
    for column in profile.columns:
        pii, name = column["pii"], column["name"]
        said = set(words(name)) & _SAID_BY.get(pii, set()) or (pii == "person_name" and _names_who_acts(name))
        if pii in _NAMED_FOR and not hints(name) & _NAMED_FOR[pii] and not said:
            sentence = f"{{rows:,}} rows of {profile.name}.{name} hold {_CALLED[pii]}, which its name does not say."
            severity: Severity = "high" if pii in _GRAVE else "medium"
            yield from _found(
                survey, profile, "pii_exposed", name, f"t.{survey.engine.quote(name)} IS NOT NULL", sentence, severity
            )
        if column["semantic_type"] == "secret":
            sentence = f"{{rows:,}} rows of {profile.name}.{name} hold passwords, keys, tokens or their hashes."
            yield from _found(
                survey, profile, "secret_exposed", name, f"t.{survey.engine.quote(name)} IS NOT NULL", sentence, "high"
            )


def _names_who_acts(name: str) -> bool:
    """Tell whether a name ends in a word for who does something, such as ``batter`` and ``chief_editor``."""
    last = words(name)[-1:]
    return bool(last) and last[0] not in _NO_ACTORS and bool(re.fullmatch(r"\w{3,}(?:er|or|ist|ician)", last[0]))


def _is_open(profile: Profile, field: Field, kind: str) -> bool:
    column = profile.column(field.name)
    if column["semantic_type"] in _CLOSED[kind] and not _overflows(column):
        return False
    if kind == "secret_exposed" and column["semantic_type"] == "secret":
        return False
    if kind == "pii_exposed" and column["pii"]:
        return False
    longest = (column.get("lengths") or {}).get("max")
    return column["nulls"] != profile.rows and (longest is None or longest >= SHORTEST[kind])


def _overflows(column: Mapping[str, Any]) -> bool:
    """Tell whether some values are far longer than what the column holds is, so that more may stand in them."""
    lengths = column.get("lengths") or {"max": 0, "mean": 0}
    return column["semantic_type"] in _SHORT and bool(lengths["max"] >= 2 * lengths["mean"] + LONGER)


def _hit(survey: Survey, profile: Profile, search: _Search, fields: list[Field]) -> list[Field]:
    """Return those of *fields* in which the pattern finds anything: in all rows, or in a sample of a large table."""
    if not fields:
        return []
    engine = survey.engine
    lengths = [profile.column(field.name).get("lengths") or {} for field in fields]
    characters = sum(max(_USUAL, min(CHARACTERS, each.get("mean") or 0)) for each in lengths)
    if long := [field.name for field, each in zip(fields, lengths, strict=True) if (each.get("max") or 0) > CHARACTERS]:
        reason = f"of a text the first {CHARACTERS:,} characters are searched"
        survey.unjudged.append(Unjudged([search.kind], profile.name, reason, long, cut=True))
    most, rows = int(engine.searched * _USUAL / characters), profile.rows or 0
    source = engine.spread(profile.relation, rows, most)
    if rows > most:
        profile.searched = most if profile.searched is None else min(profile.searched, most)
    try:
        sql = engine.matching(fields, source, lambda text: search.where(survey, _cut(text, lengths)))
        found = survey.journal.try_out(sql).first()
    except QueryFailed:
        return []
    return [field for field in fields if found.get(f"n{field.index}")]


def _cut(text: str, lengths: Iterable[Mapping[str, Any]]) -> str:
    """Return *text* (as SQL) as far as it is searched, if texts of these *lengths* may be longer."""
    return f"substr({text}, 1, {CHARACTERS})" if any((each.get("max") or 0) > CHARACTERS for each in lengths) else text


def _judged(survey: Survey, profile: Profile, search: _Search, field: Field) -> Finding | None:
    """Judge the candidates of a column, and count the rows that hold what they turned out to hold."""
    engine, place = survey.engine, f"{profile.name}.{field.name}"
    name = _cut(f"t.{engine.quote(field.name)}", [profile.column(field.name).get("lengths") or {}])
    sql = (
        f"SELECT substr({name}, 1, {CUT}) AS text\nFROM {engine.path(profile.relation)} AS t\n"
        f"WHERE {search.where(survey, name)}\nLIMIT {CANDIDATES}"
    )
    try:
        texts = [str(row[0]) for row in survey.journal.try_out(sql).rows]
    except QueryFailed:
        return None
    expected = {kind for kind, names in _NAMED_FOR.items() if names & hints(field.name)}
    if set(words(field.name)) & _TITLES:
        expected.add("address")  # 10 Rillington Place is a film
    held = {text: kinds for text in texts if (kinds := search.judge(text) - expected)}
    if not held:
        if len(texts) >= CANDIDATES:
            reason = f"the first {CANDIDATES:,} texts that might hold it were judged, and none did"
            survey.unjudged.append(Unjudged([search.kind], profile.name, reason, [field.name], cut=True))
        return None
    counted = Counter(kind for kinds in held.values() for kind in kinds)
    condition, grave = search.where(survey, name, counted), True
    if search.kind == "suspicious_instruction":
        condition = _quoting(name, list(held))
        sentence = (
            f"{{rows:,}} rows of {place} hold text that gives orders to a language model: data, not to be followed."
        )
    elif search.kind == "secret_exposed":
        sentence = f"{{rows:,}} rows of {place} hold secrets: keys, tokens, passwords or hashes of them."
    else:
        grave = bool(_GRAVE & counted.keys())
        listed = ", ".join(_CALLED[kind] for kind, _ in counted.most_common())
        sentence = f"{{rows:,}} rows of {place} hold personal data in text: {listed}."
    severity: Severity = "high" if grave else "medium"
    return next(_found(survey, profile, search.kind, field.name, condition, sentence, severity), None)


def _quoting(name: str, texts: Sequence[str]) -> str:
    """Return the condition that a text holds one of the orders in *texts*, by their first words."""
    orders = list(dict.fromkeys(order_in(text) for text in texts))[:20]
    escaped = [order.replace("!", "!!").replace("%", "!%").replace("_", "!_") for order in orders]
    return (
        "(" + " OR ".join(f"lower({name}) LIKE {literal(f'%{order.lower()}%')} ESCAPE '!'" for order in escaped) + ")"
    )


def _found(
    survey: Survey, profile: Profile, kind: str, column: str, condition: str, sentence: str, severity: Severity
) -> Iterator[Finding]:
    """Yield the finding with its rows counted; *sentence* has a place for their number."""
    keys = (profile.keys or [[]])[0]
    safe = [key for key in keys if not profile.column(key)["pii"]]
    shown = (
        ", ".join(f"t.{survey.engine.quote(key)}" for key in safe)
        or f"length(t.{survey.engine.quote(column)}) AS length"
    )
    if counted := count_rows(survey, profile, condition, shown=shown):
        yield Finding(kind, profile.name, [column], severity, *counted, sentence.format(rows=counted[0]))
