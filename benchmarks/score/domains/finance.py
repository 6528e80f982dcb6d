"""A bank: accounts, signed transactions of a long tail, exchange rates, branches."""

from datetime import datetime, timedelta

import numpy as np

from benchmarks.score import draws, words
from benchmarks.score.tables import Reference, Sheet, Table

_MERCHANTS = {
    "Corner Grocer": "Groceries", "Fresh Market": "Groceries", "City Transport": "Travel", "Rail Connect": "Travel",
    "Night Cinema": "Leisure", "Book Cellar": "Leisure", "Power & Water": "Utilities", "Telenova": "Utilities",
    "Rent Office": "Housing", "Garage Nord": "Vehicle",
}  # fmt: skip


def make(rng: np.random.Generator, n: int, now: datetime) -> tuple[list[Table], list[Reference]]:
    """Return the tables and the true references."""
    branches = _branches(Sheet("branches", 40, rng))
    accounts = _accounts(Sheet("accounts", n // 4, rng), branches, now)
    transactions = _transactions(Sheet("transactions", n, rng), accounts, now)
    rates = _rates(rng, n, now)
    references = [
        Reference("accounts", ("branch_code",), "branches", ("branch_code",)),
        Reference("transactions", ("account_no",), "accounts", ("account_no",)),
    ]
    return [branches, accounts, transactions, rates], references


def _branches(sheet: Sheet) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("branch_code", "varchar", [f"{number:04d}" for number in sorted(rng.choice(9999, n, replace=False))])
    cities = [city for home in words.COUNTRIES for city, _ in home.cities]
    sheet.add("branch_name", "varchar", [f"{cities[i % len(cities)]} {('Centre', 'West')[i // len(cities)]}"
                                         for i in range(n)])  # fmt: skip
    sheet.add("opened_in", "integer", rng.integers(1895, 2019, n))
    return sheet.table("branch_code")


def _accounts(sheet: Sheet, branches: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("account_no", "bigint", 40_000_000_000 + np.cumsum(rng.integers(1, 900, n)))
    sheet.add("iban", "varchar", words.ibans(rng, n), pii="iban")
    first, last = words.names(rng, n)
    sheet.add("holder_name", "varchar", [f"{a}, {f}" for f, a in zip(first, last, strict=True)], pii="person_name")
    sheet.add("branch_code", "varchar", words.pick(rng, branches.columns["branch_code"].values, n, 0.4), "reference")
    sheet.add("product", "varchar", words.pick(rng, ("current", "savings", "business", "youth"), n, 0.8),
              "category label constant")  # fmt: skip
    sheet.add("credit_limit", "decimal(12,2)", rng.choice([0.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0], n))
    sheet.add("balance", "decimal(14,2)", np.round(rng.laplace(1800, 2500, n), 2))
    sheet.add("balance_change_pct", "double", np.round(rng.laplace(4, 60, n), 1))  # a change may pass 100 and 0
    sheet.add("interest_pct", "double", np.round(rng.beta(2, 30, n) * 100, 2))
    opened = sheet.add("opened_on", "date", sorted(draws.dates(rng, n, now.date() - timedelta(days=9000), now.date())))
    valid = [day + timedelta(days=365 * int(rng.choice([5, 10, 30]))) for day in opened]
    sheet.add("valid_until", "date", valid)
    return sheet.table("account_no", time="opened_on")


def _transactions(sheet: Sheet, accounts: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("id", "bigint", range(1, n + 1), "id")
    numbers = accounts.columns["account_no"].values
    active = (rng.beta(0.8, 1.5, n) * accounts.rows).astype(int).tolist()
    sheet.add("account_no", "bigint", [numbers[row] for row in active], "reference")
    booked = sheet.add("booked_at", "timestamp", draws.times(rng, n, now, 600), "event")
    sheet.add("value_date", "date", [at.date() + timedelta(days=int(rng.integers(0, 3))) for at in booked])
    size = np.where(rng.random(n) < 0.04, np.minimum(draws.pareto(rng, n, 900, 1.4), 9_000_000), 0)
    amount = np.round((draws.lognormal(rng, n, 32, 1.2) + size) * np.where(rng.random(n) < 0.15, 1, -1), 2)
    sheet.add("amount", "decimal(14,2)", amount)
    sheet.add("currency", "varchar", words.pick(rng, ("EUR", "USD", "GBP", "CHF", "PLN", "SEK"), n, 1.3), "constant")
    merchants = words.pick(rng, list(_MERCHANTS), n, 0.6)
    sheet.add("merchant", "varchar", merchants, "category")
    sheet.add("merchant_group", "varchar", [_MERCHANTS[each] for each in merchants], "dependent")
    sheet.add("card_number", "varchar", draws.optional(rng, words.cards(rng, n), 0.35), pii="card")
    sheet.add("ip_address", "varchar", draws.optional(
        rng, [".".join(map(str, rng.integers(1, 255, 4))) for _ in range(n)], 0.45), pii="ip")  # fmt: skip
    sheet.add("fee", "decimal(8,2)", np.where(rng.random(n) < 0.8, 0, np.round(rng.gamma(2, 0.7, n), 2)), "full")
    sheet.add("risk_score", "double", np.round(rng.beta(1.2, 9, n), 4), "full float measure")
    sheet.add("reference_text", "varchar", [
        f"{kind} {number}" for kind, number in zip(
            words.pick(rng, ("Invoice", "Order", "Contract", "Customer"), n),
            rng.integers(10**5, 10**8, n).tolist(), strict=True)], "text")  # fmt: skip
    sheet.add("checksum", "varchar", [rng.bytes(20).hex() for _ in range(n)])
    return sheet.table("id", time="booked_at", dependencies=(("merchant", "merchant_group"),))


def _rates(rng: np.random.Generator, n: int, now: datetime) -> Table:
    currencies = {"USD": 1.09, "GBP": 0.86, "CHF": 0.96, "PLN": 4.3, "SEK": 11.4}
    days = max(60, n // 40)
    sheet = Sheet("fx_rates", days * len(currencies), rng)
    first = now.date() - timedelta(days=days - 1)
    sheet.add("rate_date", "date", [first + timedelta(days=d) for d in range(days) for _ in currencies])
    sheet.add("currency", "varchar", list(currencies) * days)
    walk = np.exp(np.cumsum(rng.normal(0, 0.003, (days, len(currencies))), axis=0))
    sheet.add("rate", "double", np.round(walk * np.array(list(currencies.values())), 5).reshape(-1))
    sheet.add("source", "varchar", words.pick(rng, ("ECB", "Reuters"), days * len(currencies), 0.4))
    return sheet.table("rate_date currency", time="rate_date", spare=True)
