"""The flaws that our own statistics show in the data, each with the query that returns the rows at fault.

A module is a family of kinds: it takes the ``Survey`` and gives ``Finding``s. What a finding is stands in
``finding``, how its rows are counted in ``evidence``, which families there are and in what order in ``search``.
What the database is measured by is elsewhere: here it is judged.
"""
