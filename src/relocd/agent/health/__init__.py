"""What this server knows of the health of its services and of itself.

`monitor` keeps the checks running, `judge` says what their results mean, and `failures` which services count as failed
here. What follows from that is decided in `relocd.election.rules`. Nothing here is waited for by a handover.
"""
