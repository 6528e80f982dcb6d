"""A hospital: patients, admissions, laboratory results with units, appointments that lie ahead."""

from datetime import datetime, timedelta

import numpy as np

from benchmarks.score import draws, words
from benchmarks.score.tables import UNGRADED, Reference, Sheet, Table

_TESTS = {
    "Sodium": ("mmol/L", 140, 3),
    "Potassium": ("mmol/L", 4.2, 0.4),
    "Glucose": ("mg/dL", 98, 22),
    "Creatinine": ("mg/dL", 0.95, 0.2),
    "Haemoglobin": ("g/dL", 14, 1.4),
    "Platelets": ("10^9/L", 250, 55),
    "Ferritin": ("ng/mL", 110, 40),
}


def make(rng: np.random.Generator, n: int, now: datetime) -> tuple[list[Table], list[Reference]]:
    """Return the tables and the true references."""
    wards = _wards(Sheet("wards", 24, rng))
    patients = _patients(Sheet("patients", n // 2, rng), now)
    admissions = _admissions(Sheet("admissions", n // 2, rng), patients, wards, now)
    results = _results(Sheet("lab_results", n, rng), admissions)
    appointments = _appointments(Sheet("appointments", n // 10, rng), patients, now)
    references = [
        Reference("admissions", ("patient_no",), "patients", ("patient_no",)),
        Reference("admissions", ("ward_id",), "wards", ("ward_id",)),
        Reference("lab_results", ("admission_id",), "admissions", ("admission_id",), declared=False),
        Reference("appointments", ("patient_no",), "patients", ("patient_no",), declared=False),
    ]
    return [wards, patients, admissions, results, appointments], references


def _wards(sheet: Sheet) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("ward_id", "integer", range(1, n + 1))
    kinds = ("Cardiology", "Surgery", "Paediatrics", "Neurology", "Oncology", "Maternity")
    sheet.add("ward_name", "varchar", [f"{kind} {letter}" for kind in kinds for letter in "ABCD"][:n])
    sheet.add("beds", "integer", rng.integers(8, 40, n))
    sheet.add("floor", "integer", rng.integers(0, 7, n))
    return sheet.table("ward_id")


def _patients(sheet: Sheet, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("patient_no", "varchar", [f"P{number:07d}" for number in range(1200, 1200 + n)])
    first, last = words.names(rng, n)
    sheet.add("full_name", "varchar", [f"{f} {a}" for f, a in zip(first, last, strict=True)], pii="person_name")
    sheet.add("sex", "varchar", draws.weighted(rng, n, female=0.515, male=0.485), "constant")
    born = draws.dates(rng, n, now.date() - timedelta(days=34000), now.date() - timedelta(days=20))
    sheet.add("date_of_birth", "date", born, pii=UNGRADED)
    sheet.add("ssn", "varchar", _ssns(rng, n), pii="national_id")
    groups = words.pick(rng, ("O+", "A+", "B+", "O-", "A-", "AB+", "B-", "AB-"), n, 0.9)
    sheet.add("blood_group", "varchar", draws.optional(rng, groups, 0.2))
    insurers = ("Meridian Health", "Caritas Mutual", "Alpina", "State Fund", "Northern Care")
    sheet.add("insurer", "varchar", words.pick(rng, insurers, n, 0.7), "category")
    homes = words.pick(rng, [home for home in words.COUNTRIES if home.code in ("DE", "AT", "CH", "NL")], n, 0.8)
    sheet.add("home_address", "varchar", [
        f"{street} {number}, {postcode} {words.one(rng, home.cities)[0]}" for street, number, postcode, home in zip(
            words.pick(rng, words.words("streets"), n), rng.integers(1, 140, n).tolist(),
            words.filled(rng, [home.postcode for home in homes]), homes, strict=True)], pii="address")  # fmt: skip
    sheet.add(
        "mobile", "varchar", draws.optional(rng, words.filled(rng, [home.phone for home in homes]), 0.25), pii="phone"
    )
    sheet.add("height_cm", "integer", np.clip(rng.normal(169, 11, n), 70, 206).astype(int), "measure nonneg full")
    weight = np.round(np.clip(rng.normal(74, 15, n), 9, 190), 1)
    sheet.add("weight_kg", "double", draws.optional(rng, weight.tolist(), 0.12), "optional measure nonneg float")
    sheet.add("registered_at", "timestamp", draws.times(rng, n, now, 2000), "event")
    sheet.add("remarks", "varchar", draws.optional(rng, words.prose(rng, n, 2), 0.4), "text")
    return sheet.table("patient_no", time="registered_at")


def _ssns(rng: np.random.Generator, n: int) -> list[str]:
    """Return different numbers of the form that the Social Security Administration gives out (POMS RM 10201.030)."""
    made: dict[str, None] = {}
    while len(made) < n:
        area = int(rng.integers(1, 899))
        made[f"{area + (area >= 666):03d}-{rng.integers(1, 100):02d}-{rng.integers(1, 10000):04d}"] = None
    return list(made)


def _admissions(sheet: Sheet, patients: Table, wards: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("admission_id", "integer", range(30001, 30001 + n))
    numbers = patients.columns["patient_no"].values
    sheet.add("patient_no", "varchar", [numbers[i] for i in rng.integers(0, patients.rows, n).tolist()], "reference")
    sheet.add("ward_id", "integer", rng.integers(1, wards.rows + 1, n), "reference")
    admitted = sheet.add("admitted_at", "timestamp", draws.times(rng, n, now, 1100), "event")
    left = draws.after(rng, admitted, timedelta(days=1), 4.5, 0.3)
    sheet.add("discharged_at", "timestamp", [None if at > now else at for at in left])
    codes = {code: words.written(rng, "?##") + "." + words.written(rng, "#") for code in range(160)}
    sheet.add("icd_code", "varchar", [codes[i] for i in (rng.beta(0.6, 2, n) * 160).astype(int).tolist()], "pattern")
    sheet.add("priority", "varchar", words.pick(rng, ("elective", "urgent", "emergency"), n, 0.7), "category label")
    sheet.add("pain_score", "integer", rng.integers(0, 11, n), "constant")
    sheet.add("oxygen_saturation_pct", "integer", np.clip(rng.normal(96.5, 1.6, n), 80, 100).astype(int),
              "percent full")  # fmt: skip
    sheet.add("cost", "decimal(12,2)", draws.lognormal(rng, n, 3100, 1.3), "measure full quantity")
    sheet.add("admission_notes", "varchar", draws.optional(rng, words.prose(rng, n, 3), 0.2), "text long")
    return sheet.table("admission_id", time="admitted_at")


def _results(sheet: Sheet, admissions: Table) -> Table:
    rng, n = sheet.rng, sheet.rows
    rows = np.sort(rng.integers(0, admissions.rows, n)).tolist()
    sheet.add("result_id", "varchar", words.patterned(rng, "LR########", n), "id")
    sheet.add("admission_id", "integer", [admissions.columns["admission_id"].values[row] for row in rows], "reference")
    tests = words.pick(rng, list(_TESTS), n, 0.4)
    sheet.add("test_name", "varchar", tests, "category")
    sheet.add("unit", "varchar", [_TESTS[test][0] for test in tests], "dependent")
    values = [round(abs(float(rng.normal(_TESTS[test][1], _TESTS[test][2]))), 2) for test in tests]
    sheet.add("value", "double", values, "float full")
    sheet.add(
        "analyser", "varchar", words.pick(rng, ("Cobas 6000", "Atellica", "Alinity"), n, 0.5), "category constant"
    )
    admitted = admissions.columns["admitted_at"].values
    taken = draws.between(rng, [admitted[row] for row in rows], max(admitted), hours=10)
    sheet.add("taken_at", "timestamp", taken, "event")
    sheet.add("turnaround_min", "integer", draws.pareto(rng, n, 25, 2.2), "nonneg full")
    sheet.add("volume_ml", "double", np.round(rng.gamma(9, 0.4, n), 2), "measure nonneg float full quantity")
    sheet.add("comment", "varchar", draws.optional(rng, words.prose(rng, n, 1.5), 0.92), "text")
    return sheet.table("result_id", time="taken_at", declared=False, dependencies=(("test_name", "unit"),))


def _appointments(sheet: Sheet, patients: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("appointment_id", "integer", range(1, n + 1))
    numbers = patients.columns["patient_no"].values
    sheet.add("patient_no", "varchar", [numbers[i] for i in rng.integers(0, patients.rows, n).tolist()])
    booked = sheet.add("booked_at", "timestamp", draws.times(rng, n, now, 200))
    # Appointments lie ahead of their booking, many of them after today.
    sheet.add("scheduled_for", "timestamp", [
        (at + timedelta(days=int(rng.integers(1, 180)))).replace(minute=int(rng.choice([0, 15, 30, 45])), second=0)
        for at in booked])  # fmt: skip
    sheet.add("duration_min", "integer", rng.choice([10, 15, 20, 30, 45], n))
    sheet.add("reason", "varchar", words.pick(rng, ("check-up", "follow-up", "vaccination", "imaging"), n, 0.5))
    return sheet.table("appointment_id", time="booked_at", spare=True)
