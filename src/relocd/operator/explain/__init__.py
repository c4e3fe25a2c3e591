"""`relocd explain`: why a service runs where it runs, and what would move it, by the agents' own rules. Pure.

`model` is what the rules are given, `forecast` and `what_if` apply them, `text` prints. The rules themselves are in
`relocd.election`; `relocd.operator.lookup` reads the entries.
"""
