"""What names of tables and columns suggest: which look like identifiers, which like freshness, which belong together.

Names only; what they suggest is measured in ``keys`` and ``references``.
"""

import re
from functools import lru_cache

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

_PEOPLE = {"user", "person", "employee", "staff", "member", "operator", "worker", "colleague", "agent"}
"""What tables of people are called, those of the people who act in a database."""

_OTHERS = {"customer", "client", "contact", "owner", "party"}
"""People a database is about: an owner may be one of them."""

_ACTORS = {"author", "owner", "creator", "editor", "reviewer", "approver", "assignee", "reporter", "requester"} | {
    "sender",
    "recipient",
    "receiver",
    "submitter",
    "uploader",
    "moderator",
    "lead",
    "leader",
    "manager",
    "supervisor",
    "inspector",
    "actor",
    "follower",
    "salesperson",
    "salesrep",
    "rep",
    "representative",
    "seller",
    "cashier",
    "clerk",
    "technician",
}
"""Parts that people play, so that a column of this name points to people."""

_NOT_ACTING = {"order", "sort", "group", "divided", "multiplied", "partition", "stand"}
"""What stands before ``by`` where nobody did anything."""

_SUFFIXES = GENERIC | {"ref", "fk", "reference"}

_PREFIXES = {"dim", "fact", "fct", "tbl", "stg", "raw", "t", "ref", "lkp", "lookup", "mst", "master"}

# Of a column's words, joined by underscores. What is short begins a word: a gender does not end, an address is not
# added.
_NOT_FRESH = re.compile(
    r"birth|expir|deadline|deleted|cancel|retire|death|planned|effective|future"
    r"|(?:^|_)(?:born|dob|due|valid(?!ated)|until|end|died|next)"
)
_FRESH = (
    (5.0, re.compile(r"updat|modif|(?:^|_)(?:chang|last(?!_name)|edit)")),
    (
        4.0,
        re.compile(
            r"creat|insert|stamp|ingest|extract|import|(?:^|_)(?:load|add(?:ed)?(?:_|$)|record|event|sync|log|ts$)|added$"
        ),
    ),
    (3.5, re.compile(r"_(?:at|on)$")),
    (3.0, re.compile(r"(?<!candi)date|(?<!sen)time|(?:^|_)(?:day|hour|when|period|month)|(?:day|month)$")),
)


def words(name: str) -> list[str]:
    """Split a name into its lower-case words: ``billingCustomer_ID`` is billing, customer, id."""
    return list(_words(name))


@lru_cache(maxsize=50_000)  # each of a large database's names is compared with many others
def _words(name: str) -> tuple[str, ...]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return tuple(word.lower() for word in re.split(r"[^\w]+|_+", spaced) if word)


@lru_cache(maxsize=50_000)
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
    name = "_".join(words(column))
    if _NOT_FRESH.search(name):
        return 0.0
    return next((score for score, pattern in _FRESH if pattern.search(name)), 1.0)


def stems(column: str) -> set[str]:
    """Return the beginnings of a column's words: without one in common with ``key_stems`` there is no kinship."""
    found = words(column)
    acting = {PEOPLE_STEM} if _acts(found) else set()
    return {word[:3] for word in found} | acting


PEOPLE_STEM = "<people>"
"""What columns and tables of people have in common instead of a beginning."""


def key_stems(target: str, key: str) -> set[str]:
    """Return the beginnings of the words that a reference to *key* of table *target* may be named by."""
    owner = table_words(target)
    people = {PEOPLE_STEM} if owner and owner[-1] in _PEOPLE | _OTHERS else set()
    return {word[:3] for word in [*owner, *(word for word in words(key) if word not in GENERIC)]} | people


def _acts(found: list[str]) -> bool:
    """Tell whether the words of a column say that somebody did something: ``created_by``, ``author_id``."""
    plain = found[:-1] if len(found) > 1 and found[-1] in _SUFFIXES else found
    if not plain:
        return False
    return plain[-1] in _ACTORS or (len(plain) > 1 and plain[-1] == "by" and plain[-2] not in _NOT_ACTING)


def _alike(word: str, other: str) -> bool:
    """Tell whether one word is the other or begins it: ``cust`` is customer."""
    short, long = sorted((word, other), key=len)
    return word == other or (len(short) >= 3 and long.startswith(short))


def _is_plain_key(owner: list[str], wanted: list[str]) -> bool:
    """Tell whether a key's name says no more than its table's: ``id``, ``order_id`` or ``ord_no`` of orders."""
    if wanted[-1] not in GENERIC:
        return False
    return len(wanted) == 1 or wanted[:-1] == owner or (len(wanted) == 2 and _alike(wanted[0], owner[-1]))


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
    return _loosely(found, plain, owner, wanted)


def _loosely(found: list[str], plain: list[str], owner: list[str], wanted: list[str]) -> int:
    """Return how strongly a column points to a table by its name, whatever the key is called."""
    last = owner[-1]
    if _is_plain_key(owner, wanted):
        suffixed = len(plain) > 1 and found[-1] in _SUFFIXES
        named = plain[:-1] if suffixed else plain
        # order_ref and order_no point to orders.id, a plain sensor to sensors.sensor_id.
        if named == owner:
            return 72
        if last.isdigit():
            return 0  # that two are the second of their kind says nothing
        if suffixed and named[-1] == last:
            return 65
        if suffixed and _alike(named[-1], last):
            return 60
        if not suffixed and len(named) == 1 and named[0] not in GENERIC and _alike(named[0], last):
            return 55
        if not suffixed and len(named) > 1 and named[-1] == last and len(owner) == 1:
            return 52
    if _acts(found) and (wanted[-1] in GENERIC or wanted[-1] in _IDENTIFIERS):
        return 40 if last in _PEOPLE else 30 if last in _OTHERS else 0
    return 0
