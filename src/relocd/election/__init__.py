"""Who holds an exclusive service: the rules R1 to R9 and what goes in and out of them. Pure.

Imports `relocd.model` only. Read `rules.py` first. `observation.py` and `eligibility.py` are what a rule sees,
`steps.py` what it decides, `writes.py` how that is written. The agent's side is `relocd.agent.handover`; the rules are
explained in docs/rules.md. `clusters.py` chooses the active member; its agent's side is `relocd.agent.auto_failover`.
"""
