"""One exclusive service from this server's side: observe, take the rules' step, write it, observe again.

The rules are pure and live in `relocd.election`. Nothing here raises an address: that is `relocd.agent.convergence`,
with a permit of `relocd.agent.liveness.lease_guard`.
"""
