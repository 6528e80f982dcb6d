"""Flaws of texts: formats, typos, variants, numbers in words' clothes, and what no text should hold."""

import base64
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from benchmarks.score import words
from benchmarks.score.plants import Bed, NoPlace, Plant
from benchmarks.score.tables import Column, Table


def mixed_format(bed: Bed, rate: float) -> None:
    """Write some codes or dates in another form than the rest."""
    table, column = bed.column(rate, "pattern")
    rows = bed.rows(column.values, bed.amount(table, rate))
    change = _other_form(bed, column, column.values[rows[0]])
    _replace(bed, table, column, {row: change(column.values[row]) for row in rows}, "mixed_format", rate)


def _other_form(bed: Bed, column: Column, sample: str) -> Callable[[str], str]:
    if "written_date" in column.roles:
        form = words.one(bed.rng, ("%Y-%m-%d", "%m/%d/%Y", "%d %b %Y", "%Y%m%d"))
        return lambda text: datetime.strptime(text, "%d.%m.%Y").strftime(form)  # noqa: DTZ007 - a day has no zone
    separators = re.sub(r"[A-Za-z0-9]", "", sample)
    if separators:
        other = words.one(bed.rng, [each for each in ("", " ", "/", "_", "--") if each != separators[0]])
        return lambda text: text.replace(separators[0], other)
    other = words.one(bed.rng, ("-", " ", "/", "."))
    return lambda text: re.sub(r"(?<=[A-Z])(?=\d)", other, text, count=1)


def case_or_space_variant(bed: Bed, rate: float) -> None:
    """Write some of a vocabulary's values with other letters' case, outer spaces, or without their accents."""
    table, column = bed.column(rate, "category")
    rows = bed.rows(column.values, bed.amount(table, rate))
    styles: list[Callable[[str], str]] = [str.upper, lambda v: v + " ", lambda v: " " + v, _swapped, lambda v: v + "  "]
    if any(_folded(value) != value for value in set(column.values) - {None}):
        styles.append(_folded)
        rows = [row for row in rows if _folded(column.values[row]) != column.values[row]] or rows
    style = words.one(bed.rng, styles)
    drawn = {row: style(column.values[row]) for row in rows if style(column.values[row]) not in column.values}
    if not drawn:
        raise NoPlace
    _replace(bed, table, column, drawn, "case_or_space_variant", rate)


def _swapped(value: str) -> str:
    return value.lower() if value != value.lower() else value.capitalize()


def _folded(value: str) -> str:
    return unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()


def rare_category(bed: Bed, rate: float) -> None:
    """Misspell frequent values, each typo rare; or put a value that a small vocabulary does not know."""
    table, column = bed.columns(
        rate, lambda _, c: "category" in c.roles and len(max(c.values, key=lambda value: len(value or ""))) > 4
    )[0]
    vocabulary = Counter(value for value in column.values if value is not None)
    count = bed.amount(table, rate)
    if "label" in column.roles and bed.rng.random() < 0.4:
        value = words.one(bed.rng, ("test", "asdf", "zzz", "dummy", "foo", "TEST2"))
        drawn = dict.fromkeys(bed.rows(column.values, count), value)
    else:
        frequent = [value for value, times in vocabulary.items() if times > table.rows / 40 and len(value) > 4]
        typos = 1 if rate < 0.001 else int(bed.rng.integers(1, 4)) if rate < 0.01 else 5
        if not frequent:
            raise NoPlace
        right = words.one(bed.rng, frequent)
        wrong = sorted({_typo(bed, right, vocabulary) for _ in range(typos)})
        rows = bed.rows(column.values, count, lambda value: value == right)
        drawn = {row: words.one(bed.rng, wrong) for row in rows}
    _replace(bed, table, column, drawn, "rare_category", rate)


def _typo(bed: Bed, word: str, known: Counter[str]) -> str:
    """Return the word with one letter lost, doubled, replaced or swapped with the next."""
    while True:
        place = int(bed.rng.integers(1, len(word) - 1))
        if not word[place : place + 2].isalpha():
            continue
        letter = words.one(bed.rng, "abcdefghiklmnoprstuvwz")
        made = words.one(bed.rng, (
            word[:place] + word[place + 1 :],
            word[:place] + word[place] + word[place:],
            word[:place] + letter + word[place + 1 :],
            word[:place] + word[place + 1] + word[place] + word[place + 2 :],
        ))  # fmt: skip
        if made.casefold() != word.casefold() and made == made.strip() and made not in known:
            return made


def number_as_text(bed: Bed, _rate: float) -> None:
    """Store a quantity as text, the way some country writes it."""
    table, column = bed.column(None, "quantity")
    style = words.one(bed.rng, ("{:.2f}", "{:,.2f}", "comma", "{:.1f}", "{:.0f}" if "int" in column.type else "{:.3f}"))
    texts = [
        None if v is None else f"{v:.2f}".replace(".", ",") if style == "comma" else style.format(v)
        for v in column.values
    ]
    filled = sum(text is not None for text in texts)
    plant = Plant("number_as_text", table.name, (column.name,), None, filled, filled, note=style)
    bed.put(table, [column.holding(texts, "varchar")], plant)


def truncated_text(bed: Bed, rate: float) -> None:
    """Cut the longest texts at one length."""
    for table, column in bed.columns(rate, lambda _, column: "text" in column.roles):
        lengths = sorted((len(value) for value in column.values if value is not None), reverse=True)
        count = bed.amount(table, rate)
        limit = lengths[min(count, len(lengths)) - 1]
        cut = [None if value is None else value[:limit].rstrip() for value in column.values]
        at_limit = sum(value is not None and len(value) == limit for value in cut)
        # Most texts are shorter, and they have no length that they would have by nature.
        if len(lengths) >= 2 * count and lengths.count(limit) * 5 < count + 10:
            break
    else:
        raise NoPlace
    near = sum(value is not None and limit - 10 <= len(value) < limit - 1 for value in cut) / 9
    plant = Plant("truncated_text", table.name, (column.name,), rate, at_limit, max(count, at_limit),
                  visible=at_limit >= 10 and at_limit > 3 * near, note=f"at {limit} characters")  # fmt: skip
    bed.put(table, [column.holding(cut)], plant)


def pii_exposed(bed: Bed, rate: float) -> None:
    """Put somebody's e-mail address, phone, card or account into free text, or a column of them under no name."""
    make = words.one(bed.rng, (_email, _phone, _card, _iban))
    if bed.rng.random() < 0.3:
        _nameless(bed, "pii_exposed", make, ("misc", "field_7", "info2", "udf_03", "value_text", "extra"))
        return
    lead = {_email: "Write to ", _phone: "Please call ", _card: "Paid with card ", _iban: "Refund to "}[make]
    _insert(bed, "pii_exposed", rate, lambda: f"{lead}{make(bed)}", make.__name__.strip("_"))


def _email(bed: Bed) -> str:
    first, last = words.names(bed.rng, 1)
    host = words.one(bed.rng, ("gmail.com", "posteo.de", "free.fr", "example.org", "proton.me"))
    return f"{words.plain(first[0])}{words.one(bed.rng, '._-')}{words.plain(last[0])}@{host}"


def _phone(bed: Bed) -> str:
    return words.written(bed.rng, words.one(bed.rng, words.COUNTRIES[:5]).phone.replace("# #", "##"))


def _card(bed: Bed) -> str:
    digits = words.cards(bed.rng, 1)[0]
    return digits if bed.rng.random() < 0.5 else " ".join(digits[i : i + 4] for i in range(0, 16, 4))


def _iban(bed: Bed) -> str:
    text = words.ibans(bed.rng, 1)[0]
    return text if bed.rng.random() < 0.5 else " ".join(text[i : i + 4] for i in range(0, 22, 4))


def secret_exposed(bed: Bed, rate: float) -> None:
    """Put a key, a token or a password into free text, or a column of password hashes under no name."""
    make = words.one(bed.rng, (_cloud_key, _repository_token, _web_token, _connection, _private_key, _hash))
    if make is _hash:
        _nameless(bed, "secret_exposed", make, ("pw", "auth", "legacy_login", "hash1"))
        return
    _insert(bed, "secret_exposed", rate, lambda: f"Access: {make(bed)}", make.__name__.strip("_"))


def _letters(
    bed: Bed, count: int, alphabet: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
) -> str:
    return "".join(alphabet[i] for i in bed.rng.integers(0, len(alphabet), count).tolist())


def _cloud_key(bed: Bed) -> str:
    return "AK" + "IA" + _letters(bed, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def _repository_token(bed: Bed) -> str:
    return "gh" + "p_" + _letters(bed, 36)


def _web_token(bed: Bed) -> str:
    parts = ('{"alg":"HS256","typ":"JWT"}', json.dumps({"sub": _letters(bed, 8), "iat": 1700000000}))
    return ".".join(base64.urlsafe_b64encode(p.encode()).decode().rstrip("=") for p in parts) + "." + _letters(bed, 43)


def _connection(bed: Bed) -> str:
    scheme = words.one(bed.rng, ("postgres", "mysql", "amqp"))
    return f"{scheme}://admin:{_letters(bed, 14)}@db{bed.rng.integers(1, 99)}.internal/prod"


def _private_key(bed: Bed) -> str:
    begin, end = (f"-----{word} RSA PRIVATE KEY-----" for word in ("BEGIN", "END"))
    return f"{begin} {_letters(bed, 120)} {end}"


def _hash(bed: Bed) -> str:
    return "$2" + f"b$12${_letters(bed, 53)}"


def suspicious_instruction(bed: Bed, rate: float) -> None:
    """Put a text that speaks to a model."""
    deed, frame = words.one(bed.rng, words.words("deeds")), words.one(bed.rng, words.words("addressing"))
    _insert(bed, "suspicious_instruction", rate, lambda: frame.format(deed=deed), frame[:24])


def _insert(bed: Bed, kind: str, rate: float, make: Callable[[], str], note: str) -> None:
    """Append what *make* gives to some free texts."""
    table, column = bed.column(rate, "text")
    rows = bed.rows(column.values, bed.amount(table, rate))
    drawn = {row: f"{column.values[row]} {make()}" for row in rows}
    _replace(bed, table, column, drawn, kind, rate, note)


def _nameless(bed: Bed, kind: str, make: Callable[[Bed], str], names: tuple[str, ...]) -> None:
    """Add a column that is full of it and says nothing of it in its name."""
    table, _ = bed.column(None, "full", "event", "category")
    name = words.one(bed.rng, names)
    if name in table.columns:
        raise NoPlace
    empty = bed.rng.random(table.rows) < 0.1
    values = [None if gone else make(bed) for gone in empty.tolist()]
    filled = sum(value is not None for value in values)
    plant = Plant(kind, table.name, (name,), None, filled, filled, note=f"a column of {make.__name__.strip('_')}")
    bed.put(table, [Column(name, "varchar", values)], plant)


def _replace(
    bed: Bed, table: Table, column: Column, drawn: dict[int, str], kind: str, rate: float, note: str = ""
) -> None:
    values = [drawn.get(row, value) for row, value in enumerate(column.values)]
    shown = note or ", ".join(sorted({repr(value) for value in drawn.values()})[:3])
    plant = Plant(kind, table.name, (column.name,), rate, len(drawn), len(drawn), note=shown)
    bed.put(table, [column.holding(values)], plant)
