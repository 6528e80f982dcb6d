"""Clean databases of six trades, with what is easily taken for a flaw and is none."""

from datetime import datetime

import numpy as np

from benchmarks.score import draws
from benchmarks.score.domains import crm, finance, hospital, shop, staff, transport
from benchmarks.score.tables import Column, Reference, World


def clean(seed: int, rows: int, now: datetime) -> World:
    """Return a database without a flaw, the same for the same arguments; its large tables have *rows* rows."""
    tables, references = [], []
    for number, domain in enumerate((shop, transport, hospital, finance, staff, crm)):
        made, refer = domain.make(np.random.default_rng([seed, number]), rows, now)
        tables += made
        references += refer
    world = World({table.name: table for table in tables}, tuple(references))
    return _linked(world, np.random.default_rng([seed, 99]))


def _linked(world: World, rng: np.random.Generator) -> World:
    """Return the world with references from one trade to another: somebody of the staff sells and approves."""
    staff_numbers = world.tables["employees"].columns["employee_no"].values
    references, linked = list(world.references), world
    for name, column, empty in (("orders", "sales_rep", 0.35), ("payouts", "approved_by", 0.0)):
        table = world.tables[name]
        chosen = [staff_numbers[int(place)] for place in rng.beta(0.7, 1.5, table.rows) * len(staff_numbers)]
        linked = linked.having(table.having(Column(column, "integer", draws.optional(rng, chosen, empty))))
        references.append(Reference(name, (column,), "employees", ("employee_no",), declared=False))
    return World(linked.tables, tuple(references))
