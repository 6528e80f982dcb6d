"""Clean databases of five trades, with what is easily taken for a flaw and is none."""

from datetime import datetime

import numpy as np

from benchmarks.score.domains import finance, hospital, shop, staff, transport
from benchmarks.score.tables import World


def clean(seed: int, rows: int, now: datetime) -> World:
    """Return a database without a flaw, the same for the same arguments; its large tables have *rows* rows."""
    tables, references = [], []
    for number, domain in enumerate((shop, transport, hospital, finance, staff)):
        made, refer = domain.make(np.random.default_rng([seed, number]), rows, now)
        tables += made
        references += refer
    return World({table.name: table for table in tables}, tuple(references))
