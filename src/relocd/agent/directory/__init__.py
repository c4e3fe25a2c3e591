"""What the agent does about a directory that it does not know enough of: reads it directly before it acts.

Missing entries are read (`backfill`), and an entry counts as gone only when a server says so (`absence_check`).
"""
