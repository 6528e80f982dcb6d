"""A company's people: employees with managers, departments, absences, payroll by month."""

from datetime import date, datetime, timedelta

import numpy as np

from benchmarks.score import draws, words
from benchmarks.score.tables import Reference, Sheet, Table

_JOBS = {
    "Accountant": "Finance", "Controller": "Finance", "Developer": "Technology", "Engineer": "Technology",
    "Recruiter": "People", "Trainer": "People", "Fitter": "Operations", "Dispatcher": "Operations",
}  # fmt: skip


def make(rng: np.random.Generator, n: int, now: datetime) -> tuple[list[Table], list[Reference]]:
    """Return the tables and the true references."""
    departments = _departments(Sheet("departments", 20, rng))
    employees = _employees(Sheet("employees", n // 10, rng), departments, now)
    absences = _absences(Sheet("absences", n // 2, rng), employees, now)
    payroll = _payroll(rng, employees, now)
    references = [
        Reference("employees", ("dept_id",), "departments", ("dept_id",)),
        Reference("employees", ("manager_no",), "employees", ("employee_no",), declared=False),
        Reference("absences", ("employee_no",), "employees", ("employee_no",), declared=False),
        Reference("payroll", ("employee_no",), "employees", ("employee_no",)),
    ]
    return [departments, employees, absences, payroll], references


def _departments(sheet: Sheet) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("dept_id", "integer", [10 * number for number in range(1, n + 1)])
    names = ("Sales", "Legal", "Finance", "Research", "Logistics")
    sheet.add(
        "dept_name", "varchar", [f"{name} {place}" for name in names for place in ("North", "South", "East", "HQ")]
    )
    sheet.add("cost_centre", "varchar", words.patterned(rng, "CC-####", n))
    return sheet.table("dept_id")


def _employees(sheet: Sheet, departments: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    numbers = sheet.add("employee_no", "integer", np.cumsum(rng.integers(1, 6, n)) + 50_000)
    first, last = words.names(rng, n)
    sheet.add("employee_name", "varchar", [f"{f} {a}" for f, a in zip(first, last, strict=True)], pii="person_name")
    sheet.add("work_email", "varchar", [f"{words.plain(f)[0]}.{words.plain(a)}{i}@example.com" for i, (f, a) in
                                        enumerate(zip(first, last, strict=True))], pii="email")  # fmt: skip
    sheet.add("dept_id", "integer", [departments.columns["dept_id"].values[i] for i in
                                     rng.integers(0, departments.rows, n).tolist()], "reference")  # fmt: skip
    jobs = words.pick(rng, list(_JOBS), n, 0.5)
    sheet.add("job_title", "varchar", jobs, "category")
    sheet.add("job_family", "varchar", [_JOBS[job] for job in jobs], "dependent")
    sheet.add("grade", "varchar", words.pick(rng, ("B2", "B1", "B3", "A2", "A1", "C1"), n, 0.5))
    bosses = [None if row == 0 else numbers[int(rng.integers(0, max(1, row // 8)))] for row in range(n)]
    sheet.add("manager_no", "integer", bosses)
    hired = sheet.add("hired_on", "date", sorted(draws.dates(rng, n, date(1998, 1, 5), now.date() - timedelta(days=2))))
    sheet.add("left_on", "date", draws.optional(rng, draws.between(rng, hired, now.date()), 0.78))
    sheet.add("contract_end", "date", draws.optional(rng, [now.date() + timedelta(days=int(rng.integers(30, 1500)))
                                                           for _ in range(n)], 0.8))  # fmt: skip
    sheet.add("salary", "decimal(10,2)", draws.lognormal(rng, n, 48000, 0.35, -2), "measure nonneg")
    sheet.add("fte_pct", "integer", rng.choice([100, 80, 60, 50], n, p=[0.78, 0.1, 0.06, 0.06]))
    return sheet.table("employee_no", time="hired_on", dependencies=(("job_title", "job_family"),))


def _absences(sheet: Sheet, employees: Table, now: datetime) -> Table:
    rng, n = sheet.rng, sheet.rows
    sheet.add("absence_id", "varchar", words.patterned(rng, "#?#?-######", n), "id")
    numbers = employees.columns["employee_no"].values
    sheet.add("employee_no", "integer", [numbers[i] for i in rng.integers(0, employees.rows, n).tolist()], "reference")
    first = sheet.add("first_day", "date", [at.date() for at in draws.times(rng, n, now, 1000)], "event date")
    days = sheet.add("days", "integer", draws.counts(rng, n, 0.0, 3.0), "nonneg full measure quantity")
    sheet.add("last_day", "date", [day + timedelta(days=length) for day, length in zip(first, days, strict=True)])
    sheet.add("kind", "varchar", words.pick(rng, ("holiday", "sickness", "parental leave", "training"), n, 1.0),
              "category label constant")  # fmt: skip
    sheet.add("approved", "boolean", rng.random(n) < 0.97, "constant")
    written = [f"{day.day:02d}.{day.month:02d}.{day.year}" for day in draws.dates(rng, n, date(2022, 1, 1), now.date())]
    sheet.add("certificate_date", "varchar", draws.optional(rng, written, 0.3), "pattern written_date")
    sheet.add("remark", "varchar", draws.optional(rng, words.prose(rng, n, 2), 0.85), "text")
    return sheet.table("absence_id", time="first_day", declared=False)


def _payroll(rng: np.random.Generator, employees: Table, now: datetime) -> Table:
    months = 10
    sheet = Sheet("payroll", employees.rows * months, rng)
    firsts = [date(now.year + (now.month - 1 - k) // 12, (now.month - 1 - k) % 12 + 1, 1) for k in range(months)][::-1]
    sheet.add("employee_no", "integer", [number for _ in firsts for number in employees.columns["employee_no"].values],
              "reference")  # fmt: skip
    sheet.add("month", "date", [first for first in firsts for _ in range(employees.rows)], "id")
    pay = [salary for _ in firsts for salary in employees.columns["salary"].values]
    gross = [round(salary / 12 + (float(rng.gamma(1, 400)) if rng.random() < 0.2 else 0), 2) for salary in pay]
    sheet.add("gross", "decimal(10,2)", gross, "measure full quantity")
    sheet.add("tax", "decimal(10,2)", [round(g * float(rng.normal(0.24, 0.03)), 2) for g in gross], "full measure")
    extra = np.where(rng.random(sheet.rows) < 0.7, 0, np.round(rng.gamma(2, 3, sheet.rows), 1))
    sheet.add("overtime_hours", "double", extra, "measure")
    sheet.add("bonus", "decimal(10,2)", draws.optional(rng, draws.lognormal(rng, sheet.rows, 900, 0.8).tolist(), 0.9),
              "optional measure")  # fmt: skip
    sheet.add("payslip_no", "varchar", words.patterned(rng, "PS-######-#", sheet.rows), "pattern id")
    sheet.add("paid_by", "varchar", words.pick(rng, ("transfer", "cheque"), sheet.rows, 2.0))
    return sheet.table("employee_no month", time="month")
