"""A web shop: customers of many countries, products, orders and their lines, reviews, deliveries, returns."""

import itertools
import uuid
from datetime import datetime, timedelta

import numpy as np

from benchmarks.score import draws, words
from benchmarks.score.tables import UNGRADED, Reference, Sheet, Table

_CATEGORIES = {
    "Kitchen": ("Cookware", "Knives", "Tableware"),
    "Garden": ("Tools", "Furniture", "Plants", "Lighting"),
    "Clothing": ("Jackets", "Trousers", "Shoes"),
    "Electronics": ("Phones", "Headphones", "Cameras"),
    "Sports": ("Cycling", "Running", "Climbing"),
    "Books": ("Novels", "Travel", "Cooking"),
}


def make(rng: np.random.Generator, n: int, now: datetime) -> tuple[list[Table], list[Reference]]:
    """Return the tables and the true references."""
    customers = _customers(Sheet("customers", n, rng), now)
    products = _products(Sheet("products", max(60, n // 20), rng), now)
    orders = _orders(Sheet("orders", n, rng), customers, now)
    lines = _lines(Sheet("order_lines", n, rng), orders, products)
    reviews = _reviews(Sheet("reviews", n // 2, rng), customers, products, now)
    deliveries = _deliveries(Sheet("deliveries", n // 2, rng), orders)
    returns = _returns(Sheet("returns", n // 20, rng), lines)
    countries = _countries(Sheet("countries", len(words.COUNTRIES), rng))
    references = [
        Reference("orders", ("customer_id",), "customers", ("id",)),
        Reference("order_lines", ("order_id",), "orders", ("id",)),
        Reference("order_lines", ("sku",), "products", ("sku",)),
        Reference("reviews", ("customer_id",), "customers", ("id",), declared=False),
        Reference("reviews", ("sku",), "products", ("sku",), declared=False),
        Reference("deliveries", ("order_id",), "orders", ("id",)),
        Reference("returns", ("order_id", "line_no"), "order_lines", ("order_id", "line_no")),
        Reference("returns", ("order_id",), "orders", ("id",), declared=False, optional=True),
        Reference("customers", ("country_code",), "countries", ("code",)),
        Reference("orders", ("bill_country",), "countries", ("code",), declared=False),
        Reference("orders", ("ship_country",), "countries", ("code",), declared=False),
        # Of another trade, and by name: a person would not say no.
        Reference("stations", ("country",), "countries", ("name",), declared=False, optional=True),
    ]
    return [countries, customers, products, orders, lines, reviews, deliveries, returns], references


def _customers(sheet: Sheet, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("id", "integer", range(1, n + 1))
    first, last = words.names(rng, n)
    sheet.add("first_name", "varchar", first, pii="person_name")
    sheet.add("last_name", "varchar", last, pii="person_name")
    hosts = words.pick(rng, ("gmail.com", "web.de", "orange.fr", "outlook.com", "mail.co.uk", "libero.it"), n, 0.5)
    sheet.add("email", "varchar", [f"{words.plain(f)}.{words.plain(a)}{i}@{h}" for i, (f, a, h) in
                                   enumerate(zip(first, last, hosts, strict=True), 100)], pii="email")  # fmt: skip
    homes = words.pick(rng, words.COUNTRIES, n, 0.9)
    phones = draws.optional(rng, words.filled(rng, [home.phone for home in homes]), 0.18)
    sheet.add("phone", "varchar", phones, "optional", pii="phone")
    streets = words.pick(rng, words.words("streets"), n)
    sheet.add("street", "varchar", [f"{s} {rng.integers(1, 190)}" for s in streets], pii="address")
    cities = [words.one(rng, home.cities) for home in homes]
    sheet.add("city", "varchar", [city for city, _ in cities], "category", pii=UNGRADED)
    sheet.add("region", "varchar", [region for _, region in cities], "dependent", pii=UNGRADED)
    sheet.add("postcode", "varchar", words.filled(rng, [home.postcode for home in homes]), pii=UNGRADED)
    sheet.add("country_code", "varchar", [home.code for home in homes])
    sheet.add("currency", "varchar", [home.currency for home in homes], "dependent")
    born = draws.dates(rng, n, now.date() - timedelta(days=29000), now.date() - timedelta(days=6600))
    sheet.add("birth_date", "date", draws.optional(rng, born, 0.4), "optional date", pii=UNGRADED)
    # Case matters in these: aB3xY0 and Ab3xY0 are two customers.
    sheet.add("referral_code", "varchar", words.tokens(rng, n, 6))
    sheet.add("newsletter", "boolean", rng.random(n) < 0.96, "constant")
    sheet.add("loyalty_points", "integer", draws.counts(rng, n, 0.7, 180), "measure quantity")
    sheet.add("signed_up_at", "timestamp", draws.times(rng, n, now, 1500), "event")
    sheet.add("crm_note", "varchar", draws.optional(rng, words.prose(rng, n, 3), 0.6), "text long")
    dependencies = (("city", "region"), ("country_code", "currency"))
    return sheet.table("id", time="signed_up_at", dependencies=dependencies)


def _products(sheet: Sheet, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("sku", "varchar", words.patterned(rng, "??-####", n))
    sheet.add("ean", "varchar", words.eans(rng, n))
    kinds = words.pick(rng, [(c, s) for c, subs in _CATEGORIES.items() for s in subs], n, 0.4)
    sheet.add("category", "varchar", [category for category, _ in kinds], "dependent")
    sheet.add("subcategory", "varchar", [sub for _, sub in kinds], "category")
    brands = words.pick(rng, ("Norrland", "Casa Verde", "Tetra", "Oakfield", "Lumen", "Kestrel", "Brise"), n, 0.5)
    sheet.add("brand", "varchar", brands, "category")
    sheet.add("name", "varchar", [f"{b} {s[:-1]} {words.written(rng, '?##')}"
                                  for b, (_, s) in zip(brands, kinds, strict=True)])  # fmt: skip
    sheet.add("list_price", "decimal(10,2)", draws.lognormal(rng, n, 40, 0.9), "measure nonneg quantity")
    sheet.add("weight_g", "integer", draws.lognormal(rng, n, 600, 1.0, 0).astype(int) + 5, "measure nonneg quantity")
    sheet.add("size", "varchar", draws.optional(rng, words.pick(rng, ("M", "L", "S", "XL", "XXL", "XS"), n, 0.8), 0.5))
    launched = sorted(draws.dates(rng, n, now.date() - timedelta(days=3000), now.date() - timedelta(days=9)))
    sheet.add("launched_on", "date", launched)
    ended = draws.between(rng, launched, now.date())
    sheet.add("discontinued_on", "date", draws.optional(rng, ended, 0.85))
    return sheet.table("sku", time="launched_on", dependencies=(("subcategory", "category"),))


def _orders(sheet: Sheet, customers: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("id", "integer", range(100001, 100001 + n))
    buyers = np.sort(rng.integers(0, customers.rows, n)) if n < 10 else (rng.beta(0.8, 1.4, n) * customers.rows)
    sheet.add("customer_id", "integer", (buyers.astype(int) + 1), "reference")
    placed = sheet.add("placed_at", "timestamp", draws.times(rng, n, now, 900), "event")
    status = draws.weighted(rng, n, delivered=0.55, shipped=0.2, pending=0.12, cancelled=0.09, returned=0.04)
    sheet.add("status", "varchar", status, "category label constant")
    sheet.add("channel", "varchar", draws.weighted(rng, n, web=0.6, mobile=0.3, store=0.1), "category label constant")
    sheet.add("payment_method", "varchar", words.pick(
        rng, ("credit card", "invoice", "bank transfer", "gift voucher", "cash on delivery"), n, 0.9),
        "category label")  # fmt: skip
    amounts = sheet.add("amount", "decimal(12,2)", draws.lognormal(rng, n, 60, 1.1), "measure full quantity")
    costs = [0.0 if amount > 100 else float(rng.choice([3.9, 4.9, 5.9, 7.5])) for amount in amounts]
    sheet.add("shipping_cost", "decimal(8,2)", costs, "nonneg full")
    sheet.add("discount_pct", "double", np.where(rng.random(n) < 0.75, 0.0, np.round(rng.beta(2, 8, n) * 100, 1)),
              "percent")  # fmt: skip
    billed = words.pick(rng, [home.code for home in words.COUNTRIES], n, 0.9)
    sheet.add("bill_country", "varchar", billed)
    # A gift goes abroad: related, and no dependency.
    others = words.pick(rng, [home.code for home in words.COUNTRIES], n, 0.9)
    sheet.add("ship_country", "varchar", np.where(rng.random(n) < 0.88, billed, others))
    sheet.add("coupon_code", "varchar", draws.optional(rng, words.filled(rng, ["??##"] * n), 0.83))
    sheet.add(
        "invoice_no", "varchar", [f"INV-{at.year}-{number:06d}" for number, at in enumerate(placed, 1)], "pattern"
    )
    sheet.add("due_date", "date", [at.date() + timedelta(days=int(rng.choice([14, 30, 60]))) for at in placed])
    closed = draws.after(rng, placed, timedelta(days=1), 2.0, 0.2)
    open_yet = ("pending", "cancelled")
    shipped = [None if s in open_yet or at > now else at for at, s in zip(closed, status, strict=True)]
    sheet.add("shipped_at", "timestamp", shipped)
    sheet.add("note", "varchar", draws.optional(rng, words.prose(rng, n), 0.7), "text")
    return sheet.table("id", time="placed_at")


def _lines(sheet: Sheet, orders: Table, products: Table) -> Table:
    rng, n = sheet.rng, sheet.rows
    chosen = np.sort(rng.integers(0, orders.rows, n)).tolist()
    sheet.add("order_id", "integer", [orders.columns["id"].values[row] for row in chosen])
    numbers = [1]
    for before, row in itertools.pairwise(chosen):
        numbers.append(numbers[-1] + 1 if row == before else 1)
    sheet.add("line_no", "integer", numbers)
    bought = (rng.beta(0.7, 2.0, n) * products.rows).astype(int).tolist()
    sheet.add("sku", "varchar", [products.columns["sku"].values[row] for row in bought], "reference")
    sheet.add("quantity", "integer", draws.counts(rng, n, 0.0, 1.6), "nonneg full measure")
    listed = [products.columns["list_price"].values[row] for row in bought]
    prices = [round(price * (1 if rng.random() < 0.9 else float(rng.uniform(0.7, 0.95))), 2) for price in listed]
    sheet.add("unit_price", "decimal(10,2)", prices, "nonneg full measure")
    sheet.add("tax_rate", "decimal(4,2)", rng.choice([0.07, 0.19, 0.2, 0.22], n, p=[0.2, 0.5, 0.2, 0.1]))
    sheet.add("gift_wrap", "boolean", rng.random(n) < 0.08, "constant")
    return sheet.table("order_id line_no")


def _reviews(sheet: Sheet, customers: Table, products: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("review_id", "integer", range(1, n + 1), "id")
    reviewed = (rng.beta(0.7, 1.6, n) * products.rows).astype(int).tolist()
    sheet.add("sku", "varchar", [products.columns["sku"].values[row] for row in reviewed], "reference")
    sheet.add("customer_id", "integer", rng.integers(1, customers.rows + 1, n), "reference")
    sheet.add("rating", "integer", rng.choice([1, 2, 3, 4, 5], n, p=[0.07, 0.06, 0.12, 0.3, 0.45]))
    sheet.add("title", "varchar", [title.rstrip(".") for title in words.sentences(rng, n)], "text")
    sheet.add("body", "varchar", words.prose(rng, n, 4), "text long")
    sheet.add("helpful_votes", "integer", draws.counts(rng, n, 0.75, 3), "measure")
    languages = words.pick(rng, ("German", "English", "French", "Italian", "Spanish", "Polish"), n, 0.7)
    sheet.add("language", "varchar", languages, "category constant")
    sheet.add("session_id", "varchar", [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n)])
    sheet.add("written_at", "timestamp", draws.times(rng, n, now, 700), "event")
    return sheet.table("review_id", time="written_at", declared=False)


def _deliveries(sheet: Sheet, orders: Table) -> Table:
    rng, n = sheet.rng, sheet.rows
    rows = np.sort(rng.choice(orders.rows, n, replace=False)).tolist()
    sheet.add("tracking_no", "varchar", words.patterned(rng, "1Z####??####", n), "pattern id")
    sheet.add("order_id", "integer", [orders.columns["id"].values[row] for row in rows], "reference")
    carriers = {"Swiftpost": "road", "Parcelink": "road", "Nordair": "air", "Velocourier": "bicycle"}
    by = words.pick(rng, list(carriers), n, 0.6)
    sheet.add("carrier", "varchar", by, "category")
    sheet.add("transport_mode", "varchar", [carriers[each] for each in by], "dependent")
    sheet.add("latitude", "double", np.round(rng.normal(48.5, 4, n), 5), "latitude")
    sheet.add("longitude", "double", np.round(rng.normal(9, 6, n), 5), "longitude")
    sheet.add("distance_km", "double", draws.lognormal(rng, n, 220, 0.8, 1), "measure nonneg full float quantity")
    sheet.add("attempts", "integer", draws.counts(rng, n, 0.0, 1.05), "nonneg")
    placed = [orders.columns["placed_at"].values[row] for row in rows]
    sheet.add("handed_over_at", "timestamp", draws.between(rng, placed, max(placed), hours=60), "event")
    sheet.add("signed_by", "varchar", draws.optional(rng, [f"{f[0]}. {a}" for f, a in
              zip(*words.names(rng, n), strict=True)], 0.35), pii=UNGRADED)  # fmt: skip
    sheet.add("driver_note", "varchar", draws.optional(rng, words.prose(rng, n, 2), 0.5), "text")
    return sheet.table("tracking_no", time="handed_over_at", dependencies=(("carrier", "transport_mode"),))


def _returns(sheet: Sheet, lines: Table) -> Table:
    rng, n = sheet.rng, sheet.rows
    rows = np.sort(rng.choice(lines.rows, n, replace=False)).tolist()
    sheet.add("return_no", "integer", range(7001, 7001 + n))
    for name in ("order_id", "line_no"):
        sheet.add(name, "integer", [lines.columns[name].values[row] for row in rows])
    reasons = ("too small", "too large", "damaged", "not as shown", "late")
    sheet.add("reason", "varchar", words.pick(rng, reasons, n, 0.5))
    sheet.add("refunded", "decimal(10,2)", draws.lognormal(rng, n, 50, 0.9))
    return sheet.table("return_no", spare=True)


def _countries(sheet: Sheet) -> Table:
    sheet.add("code", "varchar", [each.code for each in words.COUNTRIES])
    sheet.add("name", "varchar", [each.name for each in words.COUNTRIES])
    sheet.add("currency", "varchar", [each.currency for each in words.COUNTRIES])
    return sheet.table("code")
