"""The real services tests use: finding, starting and stopping them. The fixtures are in ``tests/conftest.py``."""
