"""What this server knows of the health of its services and of itself.

`failures` says which services count as failed here. What follows from that is decided in `relocd.election.rules`.
"""
