"""What this host offers to an agent: facts are read by `probe` and judged by pure checks."""
