"""What this server knows of the health of its services and of itself.

`monitor` keeps the checks running, `judge` says what their results mean, and `failures` which services count as failed
here. `readiness` is for how long this server has been ready for a cluster. What follows is decided in
`relocd.election`. Nothing here is waited for by a handover.
"""
