"""What `relocd status`, `show` and the agent's status file report of servers and services, as values, tables and JSON.

`view` reads the whole directory into rows of `health`, which also judges them; `show` asks the agents' own rules.
Pure but for `read_view` and `status_file`. Why a service is where it is: `relocd.operator.explain`.
"""
