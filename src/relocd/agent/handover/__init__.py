"""An exclusive service from this server's side: observe, take the rules' step, write it, look again.

The rules are pure and in `relocd.election`. Nothing here raises an address: that is `relocd.agent.convergence`.
"""
