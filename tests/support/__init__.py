"""Fakes of the ports, entries, plans and strategies for tests without real systems. The laboratory is tests/lab."""
