"""The loop that keeps a server as the directory wishes it: wait, plan, apply, report."""
