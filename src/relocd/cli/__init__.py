"""The command line: arguments in, text or JSON and an exit code out. No other package prints or exits.

`main` runs a command line, `options` and `access` declare what commands share, `output` prints; the other files hold
one section of commands each. What a command does is in `relocd.operator`, `doctor`, `install`, `openldap` and `apply`.
Imports whatever is below; the agent's libraries only inside the commands that need them.
"""
