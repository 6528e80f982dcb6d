"""Flights and weather stations: codes, sensors, schedules, measurements that may be below zero."""

from datetime import datetime, timedelta

import numpy as np

from benchmarks.score import draws, words
from benchmarks.score.tables import Reference, Sheet, Table


def make(rng: np.random.Generator, n: int, now: datetime) -> tuple[list[Table], list[Reference]]:
    """Return the tables and the true references."""
    carriers = _carriers(Sheet("carriers", 18, rng))
    stations = _stations(Sheet("stations", 130, rng), now)
    flights = _flights(Sheet("flights", n, rng), carriers, stations, now)
    readings = _readings(Sheet("readings", n, rng), stations, now)
    references = [
        Reference("flights", ("carrier",), "carriers", ("code",)),
        Reference("flights", ("origin",), "stations", ("station_code",), declared=False),
        Reference("flights", ("destination",), "stations", ("station_code",), declared=False),
        Reference("readings", ("station_code",), "stations", ("station_code",)),
    ]
    return [carriers, stations, flights, readings], references


def _carriers(sheet: Sheet) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("code", "varchar", words.patterned(rng, "??", n))
    names = ("Blue", "Nord", "Trans", "Sky", "Aero", "Jet")
    sheet.add("name", "varchar", [f"{a} {b}" for a in names for b in ("Lines", "Connect", "Express")][:n])
    sheet.add("founded_year", "integer", rng.integers(1946, 2015, n))
    sheet.add("alliance", "varchar", ["Star"] * n)  # one value, in a table of few rows
    return sheet.table("code")


def _stations(sheet: Sheet, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("station_code", "varchar", words.patterned(rng, "???", n))
    places = [(city, home.name) for home in words.COUNTRIES for city, _ in home.cities]
    chosen = [places[i % len(places)] for i in range(n)]
    sheet.add("station_name", "varchar", [f"{city} {('North', 'South', 'Harbour', 'Hill')[i // len(places) % 4]}"
                                          for i, (city, _) in enumerate(chosen)])  # fmt: skip
    sheet.add("country", "varchar", [country for _, country in chosen])
    sheet.add("lat", "double", np.round(rng.uniform(36, 60, n), 4))
    sheet.add("lon", "double", np.round(rng.uniform(-10, 25, n), 4))
    sheet.add("altitude_m", "integer", draws.lognormal(rng, n, 120, 1.0, 0).astype(int))
    # Reference data: it is years old, and nobody expects more of it.
    old = now.date() - timedelta(days=1400)
    sheet.add("installed_on", "date", draws.dates(rng, n, old - timedelta(days=4000), old))
    return sheet.table("station_code")


def _flights(sheet: Sheet, carriers: Table, stations: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    codes = words.pick(rng, carriers.columns["code"].values, n, 0.7)
    scheduled = sheet.add("scheduled_dep", "timestamp", [
        at.replace(minute=at.minute // 5 * 5, second=0) for at in draws.times(rng, n, now, 365)], "event")  # fmt: skip
    sheet.add("carrier", "varchar", codes)
    sheet.add("flight_no", "varchar", [f"{code}{rng.integers(100, 9999):04d}" for code in codes], "pattern")
    airports = stations.columns["station_code"].values
    sheet.add("origin", "varchar", words.pick(rng, airports[:40], n, 0.6), "reference")
    sheet.add("destination", "varchar", words.pick(rng, airports, n, 0.5), "reference")
    models = {"Airbus A320": "Airbus", "Airbus A321": "Airbus", "Boeing 737": "Boeing", "Embraer 190": "Embraer"}
    craft = words.pick(rng, list(models), n, 0.6)
    sheet.add("aircraft_model", "varchar", craft, "category")
    sheet.add("manufacturer", "varchar", [models[each] for each in craft], "dependent")
    cancelled = rng.random(n) < 0.025
    delays = np.round(rng.gamma(0.5, 30, n) - 8).astype(int).tolist()
    sheet.add("delay_min", "integer", [None if c else d for c, d in zip(cancelled, delays, strict=True)])
    left = [None if c else at + timedelta(minutes=d) for c, at, d in zip(cancelled, scheduled, delays, strict=True)]
    sheet.add("departed_at", "timestamp", [None if at is None or at > now else at for at in left])
    sheet.add("distance_km", "integer", draws.lognormal(rng, n, 900, 0.6, 0).astype(int) + 60, "measure nonneg full")
    sheet.add("passengers", "integer", np.clip(rng.normal(140, 30, n), 12, 240).astype(int),
              "measure nonneg full quantity")  # fmt: skip
    sheet.add("load_pct", "double", np.round(rng.beta(8, 2, n) * 100, 1), "percent full")
    sheet.add("fuel_kg", "double", draws.lognormal(rng, n, 4300, 0.5, 1), "measure nonneg full float quantity")
    sheet.add("gate", "varchar", draws.optional(rng, words.filled(
        rng, words.pick(rng, ("?##", "?#"), n, 0.5)), 0.09))  # fmt: skip
    sheet.add("remarks", "varchar", draws.optional(rng, words.prose(rng, n, 2), 0.9), "text")
    return sheet.table(time="scheduled_dep", dependencies=(("aircraft_model", "manufacturer"),))


def _readings(sheet: Sheet, stations: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("reading_id", "bigint", np.cumsum(rng.integers(1, 4, n)) + 5_000_000_000, "id")
    sheet.add("station_code", "varchar", words.pick(rng, stations.columns["station_code"].values, n), "reference")
    at = sheet.add("observed_at", "timestamp", draws.times(rng, n, now, 400, seasonal=False), "event")
    season = np.array([np.sin(2 * np.pi * (each.timetuple().tm_yday - 105) / 365) for each in at])
    warmth = np.round(11 + 9 * season + rng.normal(0, 4, n), 1)
    sheet.add("temperature_c", "double", warmth, "full float")
    sheet.add("humidity_pct", "double", np.round(np.clip(70 - 10 * season + rng.normal(0, 12, n), 8, 100), 1),
              "percent full float")  # fmt: skip
    sheet.add("wind_speed_ms", "double", np.round(rng.weibull(1.8, n) * 5, 1), "measure nonneg full float")
    sheet.add("wind_dir_deg", "integer", rng.integers(0, 360, n), "degrees")
    sheet.add("pressure_hpa", "double", np.round(rng.normal(1013, 9, n), 1), "full float measure")
    rain = np.where(rng.random(n) < 0.82, 0.0, np.round(rng.exponential(1.4, n), 1))
    sheet.add("rain_mm", "double", rain, "measure nonneg")
    sheet.add("battery_v", "double", np.round(rng.normal(3.7, 0.12, n), 2), "full float measure quantity")
    sheet.add("dust_ug", "double", draws.optional(rng, draws.lognormal(rng, n, 14, 0.8, 1).tolist(), 0.3),
              "optional measure nonneg float")  # fmt: skip
    # Looks like an address on the network, and is a version.
    sheet.add("firmware", "varchar", words.pick(rng, ("2.4.1.0", "2.4.1.3", "2.5.0.1", "3.0.0.2"), n, 0.6))
    sheet.add("quality", "varchar", words.pick(rng, ("good", "fair", "suspect", "calibrating"), n, 1.0),
              "category label constant")  # fmt: skip
    return sheet.table("reading_id", time="observed_at")
