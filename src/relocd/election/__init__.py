"""Who holds an exclusive service: the rules R1 to R9, what they go by, their steps and their writes. Pure.

Imports the model only. The agent's side of it is `relocd.agent.handover`; rules are described in docs/rules.md.
"""
