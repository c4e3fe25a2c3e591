"""`relocd explain`: why a service runs where it runs, and what would move it, by the agents' own rules. Pure.

`forecast` models the service and applies the rules, also to the changes of `what_if`; `text` prints. The rules
themselves are in `relocd.election`; `relocd.operator.lookup` reads the entries.
"""
