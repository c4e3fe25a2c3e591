"""Orders of a person or a trigger: link, move, fence, activate, failover; each is one modify with a pre-flight check.

`changes`, `failover`, `preflight` and `progress` decide and are pure; `orders` writes, `waiting` follows (`--wait`),
`agent_mode` speaks to the agent on this machine. Whether a service moves is decided in `relocd.election`.
"""
