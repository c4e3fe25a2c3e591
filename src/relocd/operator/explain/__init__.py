"""Why a service is where it is and what would happen: the agents' own rules, asked by a person. Pure.

The rules are in `relocd.election`.
"""
