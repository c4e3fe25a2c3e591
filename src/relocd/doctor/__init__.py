"""`relocd doctor`: `directory/` and `host/` gather facts, judge them by pure checks, and `report` prints the findings.

Nothing is changed here. Imports the operator's side and `install`; the agent's libraries are used by `relocd.apply`.
"""
