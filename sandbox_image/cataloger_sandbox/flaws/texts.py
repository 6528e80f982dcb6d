"""Texts in another form than the rest of their column: mixed formats, quantities as text, texts cut at one length."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from cataloger_sandbox.flaws.look import Column, Look, Suspect
from cataloger_sandbox.flaws.numbers import QUANTITIES
from cataloger_sandbox.flaws.phrases import counted, listed, verb
from cataloger_sandbox.flaws.shapes import length, separators, shape, skeleton, telling
from cataloger_sandbox.flaws.tails import binomial_tail, poisson_tail
from cataloger_sandbox.names import is_identifier
from cataloger_sandbox.reading import CHARACTERS

LEAST = 30
"""Of fewer values nothing is said."""

DOMINANT = 0.8
"""So large a share of a column's values has one form where another is a flaw."""

LONG = 60
"""Texts of more characters on average have no form."""

NUMERIC = 0.88
"""So large a share of a text column's values are numbers where it is one of quantities."""

_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?([eE][+-]?\d+)?|[+-]?\d+,\d{1,2}|[+-]?\.\d+")
_QUANTITY = re.compile(
    r"[$€£¥]\s?[+-]?[\d,.]*\d|[+-]?[\d,.]*\d\s?(%|€|\$|£|kg|g|km|cm|mm|m|lb|lbs|oz|ml|l|kb|mb|gb|eur|usd|gbp|hours?|h|min|s|ms"
    r"|days?|pcs|units?)",
    re.IGNORECASE,
)
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATES = {
    "year-month-day": re.compile(r"[12]\d{3}-\d\d?-\d\d?"),
    "year-month-day with time": re.compile(
        r"[12]\d{3}-\d\d?-\d\d?[ T]\d\d?:\d\d(:\d\d(\.\d+)?)?\s?(Z|UTC|[+-]\d\d:?\d\d)?"
    ),
    "year/month/day": re.compile(r"[12]\d{3}/\d\d?/\d\d?"),
    "day/month/year": re.compile(r"\d\d?/\d\d?/([12]\d{3}|\d\d)"),
    "day.month.year": re.compile(r"\d\d?\.\d\d?\.([12]\d{3}|\d\d)"),
    "day-month-year": re.compile(r"\d\d?-\d\d?-[12]\d{3}"),
    "yearmonthday": re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "day month year": re.compile(rf"\d\d?[ -]{_MONTH},?[ -]([12]\d{{3}}|\d\d)", re.IGNORECASE),
    "month day, year": re.compile(rf"{_MONTH} \d\d?(st|nd|rd|th)?,? [12]\d{{3}}", re.IGNORECASE),
}
_POINTS = ".,;:!?)\"'"
_BY_COUNTRY = {"zip", "zipcode", "postcode", "postal", "vat", "plate", "license", "licence", "iban", "passport", "tax"}
_DURATIONS = {"days", "hours", "minutes", "seconds", "weeks", "months", "years", "amount", "total", "value", "rate"}
_NO_QUANTITY = {
    "zip",
    "zipcode",
    "postcode",
    "postal",
    "phone",
    "tel",
    "mobile",
    "fax",
    "version",
    "year",
    "date",
    "ip",
} | {
    "account",
    "acct",
    "barcode",
    "ean",
    "upc",
    "gtin",
    "isbn",
    "house",
    "room",
    "flight",
    "gate",
    "seat",
    "extension",
    "ext",
    "pin",
    "model",
    "build",
    "release",
    "cusip",
    "route",
    "line",
    "unit",
    "apt",
    "suite",
    "class",
    "grade",
    "level",
    "category",
    "type",
    "status",
    "flag",
    "token",
    "hash",
    "card",
    "name",
    "address",
    "street",
}


def numbers_as_text(look: Look) -> Iterator[Suspect]:
    """Yield the text columns of quantities: numbers of different lengths or with decimals, and no codes."""
    for column in look.of_kind("text"):
        if (
            column.filled < LEAST
            or column.words & _NO_QUANTITY
            or is_identifier(column.name, look.profile.relation.name)
        ):
            continue
        counts = column.free
        total = sum(counts.values())
        numeric = [value for value in counts if _NUMBER.fullmatch(value.strip()) or _QUANTITY.fullmatch(value.strip())]
        if sum(counts[value] for value in numeric) < NUMERIC * total or not _are_quantities(column, numeric, counts):
            continue
        other = counts.keys() - set(numeric)
        if other and all(re.fullmatch(r"\d+[A-Za-z]", value.strip()) for value in other):
            continue  # 136 and 136A number things
        apart = sorted({*other, *(value for value in column.taken if isinstance(value, str))})
        where = f"{column.sql} IS NOT NULL"
        if apart and (condition := telling(column, apart, numeric)):
            where += f" AND NOT ({condition})"
        column.take(numeric)
        yield Suspect("number_as_text", [column.name], "low", where, _say_numbers(look, column, numeric))


def _say_numbers(look: Look, column: Column, numeric: Sequence[str]) -> Callable[[int], str]:
    examples = listed(column, numeric[:2])
    return lambda rows: (
        f"{column.name} of {look.profile.name} is text, but holds quantities in {counted(rows, look)}, "
        f"such as {examples}: as text they sort by their first digits."
    )


def _are_quantities(column: Column, numeric: Sequence[str], counts: Mapping[str, int]) -> bool:
    if len(numeric) < 5:
        return False
    bare = [value.strip() for value in numeric]
    if any(re.fullmatch(r"0\d+", value) for value in bare) or all(
        _DATES["yearmonthday"].fullmatch(value) for value in bare
    ):
        return False  # a leading zero is none of a quantity's
    decimal = sum(counts[value] for value in numeric if re.search(r"[.,]\d+\b", value)) / sum(
        counts[value] for value in numeric
    )
    lengths = {len(value.lstrip("+-")) for value in bare}
    if len(lengths) >= 2 and column.words & (QUANTITIES | _DURATIONS):
        return True
    return decimal > 0.2 or (len(lengths) >= 3 and len(numeric) >= 10) or (len(lengths) == 2 and len(numeric) > 30)


def mixed_formats(look: Look) -> Iterator[Suspect]:
    """Yield the text columns with a dominant form of dates, codes or numbers, and a minority in another form."""
    for column in look.of_kind("text"):
        if column.filled < LEAST or (column.profile.get("lengths") or {"mean": 0})["mean"] > LONG:
            continue
        counts = column.free
        total = sum(counts.values())
        if not total:
            continue
        found = _dates(counts, total) or _forms(column, counts, total)
        if found is None:
            continue
        usual, other, what = found
        minority = set(other)
        if _is_explained(look, column, minority):
            continue
        where = telling(column, other, [value for value in column.counts if value not in minority])
        if where is None:
            continue
        column.take(other)
        yield Suspect(
            "mixed_format", [column.name], "medium", where, _say_mixed(look, column, usual, other, what), most=0.25
        )


def _say_mixed(look: Look, column: Column, usual: str, other: Sequence[str], what: str) -> Callable[[int], str]:
    like, unlike = listed(column, [usual]), listed(column, other[:2])
    return lambda rows: (
        f"{counted(rows, look)} of {look.profile.name} {verb(rows, 'has', 'have')} {column.name} in another form"
        f"{what}: most are like {like}, these like {unlike}."
    )


_Mixed = tuple[str, list[str], str]


def _dates(counts: Mapping[str, int], total: int) -> _Mixed | None:
    forms: Counter[str] = Counter()
    members: dict[str, list[str]] = {}
    for value, count in counts.items():
        form = next((name for name, pattern in _DATES.items() if pattern.fullmatch(value.strip())), "")
        forms[form] += count
        members.setdefault(form, []).append(value)
        if len(members.get("", ())) > 50 and forms[""] > 0.2 * sum(forms.values()):
            return None
    form, count = forms.most_common(1)[0]
    dated = total - forms[""]
    if not form or count < DOMINANT * total or dated < 0.98 * total or len(forms) - ("" in forms) < 2:
        return None
    other = [value for name, values in members.items() if name not in ("", form) for value in values]
    return members[form][0], other, " of dates"


def _forms(column: Column, counts: Mapping[str, int], total: int) -> _Mixed | None:
    forms: Counter[str] = Counter()
    members: dict[str, list[str]] = {}
    seen = most = 0
    for value, count in counts.items():
        form = shape(value.strip())
        forms[form] += count
        members.setdefault(form, []).append(value)
        seen, most = seen + count, max(most, forms[form])
        if total - (seen - most) < DOMINANT * total or len(forms) > 2000:
            return None  # no form can have so many any more
    form, count = forms.most_common(1)[0]
    if count < DOMINANT * total or not _is_code(form):
        return None
    lengths = {length(value) for value in members[form]}
    other = [
        value
        for name, values in members.items()
        if name != form
        for value in values
        if _is_same_kind(form, name, value, lengths, column)
    ]
    if not other or sum(counts[value] for value in other) > 0.15 * total:
        return None
    return members[form][0], other, ""


def _is_code(form: str) -> bool:
    return "9" in form or (form.replace("-", "").replace("_", "") == "A" and form != "A")


def _is_same_kind(form: str, name: str, value: str, lengths: set[int], column: Column) -> bool:
    """Tell whether a value of form *name* is of the same kind as those of *form*, written otherwise."""
    if _is_numeric(form):
        if _is_numeric(name):
            return (form, name) in (("9.9", "9,9"), ("-9.9", "-9,9"), ("9,9", "9.9"))
        return bool(_QUANTITY.fullmatch(value.strip()))
    if skeleton(form) == skeleton(name):
        if not min(lengths) <= length(value) <= max(lengths):
            return False
        return separators(form) != separators(name) or form.upper() == name.upper()
    if column.words & _BY_COUNTRY or len(lengths) > 1:
        return False
    # A prefix or suffix is missing or another, the digits of a code of fixed length are all there.
    digits = skeleton(form).replace("A", "") == skeleton(name).replace("A", "") == "9"
    return digits and sum(map(str.isdigit, value)) in _digits(lengths, form, column)


def _digits(lengths: set[int], form: str, column: Column) -> set[int]:
    return {
        sum(map(str.isdigit, value)) for value in column.counts if length(value) in lengths and shape(value) == form
    }


def _is_numeric(form: str) -> bool:
    return form.lstrip("+-") in ("9", "9.9", "9,9", "9,9.9", "9e-9", "9.9e-9", "9.9e+9")


def _is_explained(look: Look, column: Column, other: set[str]) -> bool:
    """Tell whether a category says which form a value has, as a country does of its codes."""
    is_other = [value in other for value in column.values]
    held = sum(is_other)
    for category in look.of_kind("text", "number", "boolean"):
        if category is column or not 2 <= len(category.counts) <= 100:
            continue
        among = Counter(value for value, odd in zip(category.values, is_other, strict=True) if odd)
        explained = sum(count for value, count in among.items() if count >= 0.7 * category.counts.get(value, 1))
        if explained >= 0.8 * held and held > 3:
            return True
    return False


def truncated_texts(look: Look) -> Iterator[Suspect]:
    """Yield the text columns in which far more values end at one length than at those around it."""
    for column in look.of_kind("text"):
        if column.filled >= LEAST and (suspect := _cut(look, column)):
            yield suspect


def _cut(look: Look, column: Column) -> Suspect | None:
    sizes = column.profile.get("lengths")
    if not sizes:
        return None
    counts = column.free
    different = Counter(map(len, counts))
    if len(different) < 8 or len(counts) < 0.02 * sum(counts.values()):
        return None  # codes, or a vocabulary
    if sizes["max"] > CHARACTERS:
        different.pop(CHARACTERS, None)  # cut by ourselves
    broken = _broken_off(counts)
    usual_share = (len(broken) + 1) / len(counts)
    odd = Counter(map(len, broken))
    for size in sorted(different, key=lambda item: -max(odd[item], different[item] / 10))[:6]:
        below = [different[size - step] for step in range(1, 7)]
        usual = max(sum(below) / len(below), sorted(different[size + step] for step in range(-6, 7) if step)[-2], 0.5)
        here, last = different[size], size == max(different)
        if size < 8 or here < 4 or here > 0.5 * len(counts):
            continue
        marks = Counter(re.sub(r"\w", "", value) for value in counts if len(value) == size)
        if marks.most_common(1)[0][1] > 0.7 * here:
            continue  # codes, whose marks are at the same places
        others = (len(broken) - odd[size] + 1) / (len(counts) - here + 1)
        crowded = here >= 5 and here > 4 * usual and poisson_tail(here, usual) < look.alpha
        improbable = odd[size] >= 2 and others < 0.2 and binomial_tail(odd[size], here, others) < look.alpha
        if (crowded and (last or odd[size] > 3 * usual_share * here + 2)) or (
            improbable and odd[size] > 5 * others * here
        ):
            column.take([value for value in counts if len(value) == size])
            return _tell_cut(look, column, size)
    return None


def _broken_off(counts: Mapping[str, int]) -> list[str]:
    """Return the texts that end within a word: in letters that are no word here, but the beginning of one."""
    split = {value: [word.strip(_POINTS).casefold() for word in value.split()] for value in counts}
    known = Counter(word for words in split.values() for word in words)
    vocabulary = sorted(word for word, count in known.items() if count >= 3 and word)
    found = []
    for value, words in split.items():
        last = words[-1] if words else ""
        if len(words) < 3 or not last or known[last] >= 3 or value[-1:] in _POINTS:
            continue
        at = bisect_left(vocabulary, last)
        if at < len(vocabulary) and vocabulary[at].startswith(last):
            found.append(value)
    return found


def _tell_cut(look: Look, column: Column, size: int) -> Suspect:
    def say(rows: int) -> str:
        return (
            f"{counted(rows, look)} of {look.profile.name} {verb(rows, 'has', 'have')} a {column.name} of exactly "
            f"{size:,} characters: far more texts end there, or end there within a word, than at other lengths."
        )

    return Suspect("truncated_text", [column.name], "medium", f"length({column.sql}) = {size}", say, most=0.5)
