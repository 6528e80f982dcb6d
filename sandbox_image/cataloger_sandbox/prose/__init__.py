"""The words that a rule can write about a database: true by what was measured, or not written at all.

No number stands in them: a number is a fact element, and the host fills it in. The queries whose answers are
told here are in ``questions``, the markup is in ``elements``.
"""
