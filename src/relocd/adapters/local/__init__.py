"""What the agent keeps and shows on this host: ledger, cache, locks, status, metrics, journal, service manager.

Small files that survive a restart of the agent, each with its own rule for damage. Only `metrics` imports
prometheus_client, only `journal` logging_journald.
"""
