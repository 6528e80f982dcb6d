"""What the values of a column are, and what of it is personal: semantic types, personal data, secrets, instructions.

``label`` decides on a column from a sample of its values (``sample``), its name and its table's (``hints``); what a
single value can be is tested in ``values``, ``documents``, ``people`` and ``places``. The libraries these stand on
are imported at the first use: a session that asks for none of it does not wait for them.
"""
