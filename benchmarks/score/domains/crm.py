"""Contacts, suppliers, payments, a web log: personal data under many names, and what only sounds like it."""

from datetime import datetime

import numpy as np

from benchmarks.score import draws, words
from benchmarks.score.tables import UNGRADED, Reference, Sheet, Table

_AGENTS = ("Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (Windows NT 10.0)", "Mozilla/5.0 (iPhone)", "curl/8.5.0")
_PATHS = ("/", "/cart", "/search", "/login", "/help/contact", "/account/address", "/api/v2/items")


def make(rng: np.random.Generator, n: int, now: datetime) -> tuple[list[Table], list[Reference]]:
    """Return the tables and the true references."""
    suppliers = _suppliers(Sheet("suppliers", max(60, n // 40), rng))
    contacts = _contacts(Sheet("kontakte", n // 4, rng), now)
    payments = _payments(Sheet("payouts", n // 4, rng), suppliers, now)
    log = _log(Sheet("access_log", n // 2, rng), now)
    references = [Reference("payouts", ("supplier_id",), "suppliers", ("supplier_id",), declared=False)]
    return [suppliers, contacts, payments, log], references


def _suppliers(sheet: Sheet) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("supplier_id", "integer", [900 + 7 * number for number in range(n)])
    owners = words.pick(rng, words.words("last names"), n)
    forms = words.pick(rng, ("GmbH", "Ltd", "S.A.", "S.p.A.", "AG", "& Sons", "BV"), n, 0.5)
    trades = words.pick(rng, ("Logistik", "Packaging", "Trading", "Textiles", "Metal Works"), n)
    # A company may be called after a person; it is none.
    sheet.add("legal_name", "varchar", [" ".join(p) for p in zip(owners, trades, forms, strict=True)])
    sheet.add(
        "vat_id", "varchar", words.filled(rng, words.pick(rng, ("DE#########", "FR###########", "IT###########"), n))
    )
    first, last = words.names(rng, n)
    sheet.add("contact_person", "varchar", [f"{f} {a}" for f, a in zip(first, last, strict=True)], pii="person_name")
    sheet.add("hotline", "varchar", words.filled(rng, ["+49 30 ######"] * n), pii=UNGRADED)
    sheet.add("website", "varchar", [f"https://www.{words.plain(owner)}-{i}.example" for i, owner in enumerate(owners)])
    sheet.add("rating_stars", "integer", rng.integers(1, 6, n))
    return sheet.table("supplier_id")


def _contacts(sheet: Sheet, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("kontakt_nr", "varchar", [f"K-{number:06d}" for number in range(310, 310 + n)])
    first, last = words.names(rng, n)
    sheet.add("ansprechpartner", "varchar", [f"{f} {a}" for f, a in zip(first, last, strict=True)], pii="person_name")
    hosts = words.pick(rng, ("gmx.de", "t-online.de", "wanadoo.fr", "mail.example.com"), n)
    mails = [f"{words.plain(f)[0]}{words.plain(a)}_{i}@{h}" for i, (f, a, h) in
             enumerate(zip(first, last, hosts, strict=True))]  # fmt: skip
    sheet.add("kontakt", "varchar", draws.optional(rng, mails, 0.15), "unclear", pii="email")
    sheet.add("tel_no", "varchar", draws.optional(rng, words.filled(rng, words.pick(
        rng, ("0#### ######", "+49 (0)### #######", "0## / ### ## ##"), n)), 0.3), pii="phone")  # fmt: skip
    homes = words.pick(rng, words.COUNTRIES[:6], n)
    sheet.add("anschrift", "varchar", [
        f"{street} {number}, {code} {words.one(rng, home.cities)[0]}" for street, number, code, home in zip(
            words.pick(rng, words.words("streets"), n), rng.integers(1, 160, n).tolist(),
            words.filled(rng, [home.postcode for home in homes]), homes, strict=True)], pii="address")  # fmt: skip
    ids = [f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(number) % 23]}" for number in words.patterned(rng, "########", n)]
    sheet.add("dni", "varchar", draws.optional(rng, ids, 0.5), pii="national_id")
    sheet.add("contact_method", "varchar", words.pick(rng, ("email", "phone", "letter"), n, 0.6))
    sheet.add("phone_model", "varchar", words.pick(rng, ("Pixel 8", "Galaxy S24", "iPhone 15", "Fairphone 5"), n, 0.4))
    sheet.add("address_type", "varchar", words.pick(rng, ("billing", "delivery"), n, 0.5))
    sheet.add("email_opt_in", "boolean", rng.random(n) < 0.6)
    sheet.add("name_day_month", "integer", rng.integers(1, 13, n))
    sheet.add("angelegt_am", "date", [at.date() for at in draws.times(rng, n, now, 900)])
    return sheet.table("kontakt_nr", time="angelegt_am")


def _payments(sheet: Sheet, suppliers: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("payout_no", "bigint", 7_100_000_000 + np.cumsum(rng.integers(1, 50, n)))
    sheet.add("supplier_id", "integer", words.pick(rng, suppliers.columns["supplier_id"].values, n, 0.4))
    first, last = words.names(rng, n)
    sheet.add("payee", "varchar", [f"{a.upper()} {f}" for f, a in zip(first, last, strict=True)], pii="person_name")
    sheet.add("beneficiary_account", "varchar", words.ibans(rng, n), pii="iban")
    # Sixteen digits like a card's, without its check digit.
    sheet.add("bank_reference", "varchar", words.filled(rng, ["################"] * n))
    sheet.add("card_type", "varchar", words.pick(rng, ("Visa", "Mastercard", "Amex"), n, 0.6))
    sheet.add("charged_card", "varchar", draws.optional(rng, words.cards(rng, n), 0.6), pii="card")
    sheet.add("paid_total", "decimal(12,2)", draws.lognormal(rng, n, 410, 1.0))
    sheet.add("paid_at", "timestamp", draws.times(rng, n, now, 500))
    return sheet.table("payout_no", time="paid_at")


def _log(sheet: Sheet, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("at", "timestamp", draws.times(rng, n, now, 90))
    four = [".".join(map(str, parts)) for parts in rng.integers(1, 255, (n, 4)).tolist()]
    six = [":".join(f"{part:x}" for part in parts) for parts in rng.integers(0, 65536, (n, 8)).tolist()]
    sheet.add("client_addr", "varchar", np.where(rng.random(n) < 0.25, six, four), pii="ip")
    users = [f"{words.plain(f)}.{words.plain(a)}@example.com" for f, a in zip(*words.names(rng, n), strict=True)]
    sheet.add("login", "varchar", draws.optional(rng, users, 0.5), "unclear", pii="email")
    sheet.add("path", "varchar", words.pick(rng, _PATHS, n, 0.7))
    sheet.add("status_code", "integer", rng.choice([200, 301, 304, 404, 500], n, p=[0.72, 0.1, 0.1, 0.05, 0.03]))
    sheet.add("bytes_sent", "bigint", draws.pareto(rng, n, 800, 1.1))
    sheet.add("user_agent", "varchar", words.pick(rng, _AGENTS, n, 0.6))
    sheet.add("ip_version_seen", "varchar", words.pick(rng, ("v4", "v6"), n, 1.0))
    return sheet.table(time="at")
