"""The parts of ``benchmarks/truth.py``: clean databases, planted flaws, an independent grader, the score.

Nothing here imports the product but ``runs``, which asks it for a page; what is right is worked out with plain Python
and with SQL of its own through the bare drivers.
"""
