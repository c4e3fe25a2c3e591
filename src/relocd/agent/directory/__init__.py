"""Direct reads where the search is not enough: the agent reads before it acts on what it does not know.

Missing entries are read (`backfill`), and an entry counts as gone only when a directory server says so
(`absence_check`). The search itself is `relocd.sync`.
"""
