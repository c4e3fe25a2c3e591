"""The command line: arguments in, text or JSON and an exit code out. Nothing else in relocd prints or exits.

`main` has the commands of the agent's side, the other files one group of commands each. What a command does is in
`relocd.operator`, `relocd.doctor`, `relocd.install` and `relocd.apply`.
"""
