"""What the agent stores and reports on this host: ledger, cache, run folder, metrics, journal, sd_notify.

Small files that outlive the agent, each with its own rule for a damaged one. Only `metrics` imports
prometheus_client, only `journal` logging_journald.
"""
