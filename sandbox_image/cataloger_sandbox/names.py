"""What names of tables and columns suggest: which look like identifiers, which like freshness, which belong together.

Names only; what they suggest is measured in ``keys`` and ``references``.
"""

import re

GENERIC = {"id", "code", "key", "no", "nr", "num", "number", "uuid", "guid", "name", "pk", "sk", "oid", "slug", "value"}
"""Names that a key has in any table, so that they say nothing about which."""

_IDENTIFIERS = {"id", "code", "key", "uuid", "guid", "no", "nr", "num", "number", "pk", "sk", "oid"} | {
    "sku",
    "isbn",
    "ean",
    "iban",
    "slug",
    "login",
    "username",
    "email",
    "serial",
    "symbol",
    "ticker",
    "ref",
    "reference",
    "vin",
    "ssn",
    "hash",
}
_LOOKALIKES = {"paid", "void", "valid", "invalid", "avoid", "casino", "monkey", "unpaid", "postpaid", "prepaid"}

_PARENTS = {"parent", "manager", "supervisor", "boss", "reply", "reports"} | {
    "previous",
    "prev",
    "next",
    "root",
    "original",
}

_PREFIXES = {"dim", "fact", "fct", "tbl", "stg", "raw", "t", "ref", "lkp", "lookup", "mst", "master"}

_NOT_FRESH = re.compile(
    r"birth|born|dob|due|expir|valid|until|deadline|deleted|cancel|end|retire|death|died|planned|effective|next|future"
)
_FRESH = (
    (5.0, re.compile(r"updat|modif|chang|last|edit")),
    (4.0, re.compile(r"creat|insert|load|add|record|event|stamp|^ts$|_ts$|ingest|extract|sync|log|import")),
    (3.5, re.compile(r"_at$|At$|_on$")),
    (3.0, re.compile(r"date|time|day|hour|when|period|month")),
)


def words(name: str) -> list[str]:
    """Split a name into its lower-case words: ``billingCustomer_ID`` is billing, customer, id."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.split(r"[^\w]+|_+", spaced) if word]


def singular(word: str) -> str:
    """Return an English word without its plural ending."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 4 and word.endswith(("uses", "ases", "ises")):
        return word[:-1] if word.endswith("ases") else word[:-2]
    if len(word) > 2 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return {"people": "person", "children": "child", "men": "man", "women": "woman"}.get(word, word)


def table_words(name: str) -> list[str]:
    """Return what a table's name says its rows are: ``dim_customers`` is customer."""
    found = words(name)
    while len(found) > 1 and found[0] in _PREFIXES:
        found = found[1:]
    return [*found[:-1], singular(found[-1])] if found else []


def is_identifier(column: str, table: str) -> bool:
    """Tell whether *column*'s name is one that identifies something."""
    found = words(column)
    if not found:
        return False
    if found[-1] in _IDENTIFIERS:
        return True
    joined = "".join(found)
    if len(found) == 1 and re.search(r"(?:id|num|code|uuid|key|no)$", joined) and len(joined) > 3:
        # customerid, tailnum, zipcode; not paid, void, casino, monkey.
        stem = re.sub(r"(?:id|num|code|uuid|key|no)$", "", joined)
        return len(stem) > 2 and joined not in _LOOKALIKES
    return found == table_words(table)


def freshness(column: str) -> float:
    """Return how likely a time column of this name tells when its table was last written to; 0 if not at all."""
    name = column.lower()
    if _NOT_FRESH.search(name):
        return 0.0
    return next((score for score, pattern in _FRESH if pattern.search(column) or pattern.search(name)), 1.0)


def stems(column: str) -> set[str]:
    """Return the beginnings of a column's words: without one in common with ``key_stems`` there is no kinship."""
    return {word[:3] for word in words(column)}


def key_stems(target: str, key: str) -> set[str]:
    """Return the beginnings of the words that a reference to *key* of table *target* may be named by."""
    return {word[:3] for word in [*table_words(target), *(word for word in words(key) if word not in GENERIC)]}


def kinship(column: str, target: str, key: str, *, same: bool) -> int:
    """Return how strongly the name *column* points to *key* of table *target* (or of the *same* table), up to 100."""
    found, owner, wanted = words(column), table_words(target), words(key)
    if not found or not owner or not wanted:
        return 0
    plain = [singular(word) for word in found]
    generic = len(wanted) == 1 and wanted[0] in GENERIC
    if same:
        # Within a table only a name like parent_id or manager_id points back to the key.
        return 70 if plain[0] in _PARENTS and column != key else 0
    full = [*owner, *wanted]
    if plain == full or "".join(plain) == "".join(full):
        return 100
    if not generic and found == wanted:
        # customer_id is rather the customers' than that of another table that has it too.
        return 95 if set(wanted) & set(owner) else 90
    if len(plain) > len(full) and plain[-len(full) :] == full:
        return 85
    if not generic and len(wanted) > 1 and len(found) > len(wanted) and found[-len(wanted) :] == wanted:
        return 80
    if generic and plain == owner:
        return 75
    last = owner[-1]
    if generic and found[-1] == wanted[0] and len(plain) > 1:
        if plain[-2] == last:
            return 65
        if len(plain[-2]) >= 3 and last.startswith(plain[-2]):
            return 60
    return 0
