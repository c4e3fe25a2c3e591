"""`relocd history`: what happened to services, when, why and who began it, read from `cn=history` below each.

May be imported by `cli`; imports the session and lookups of `relocd.operator`. What a record is made of is in
`relocd.model.history`; agents write it (`relocd.agent.history`).
"""
