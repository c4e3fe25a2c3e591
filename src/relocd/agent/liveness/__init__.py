"""Who is alive: this server's heartbeat, those of its peers, the failure detector, and the lease guard.

The guard says whether this server may serve still. Who holds a service is decided in `relocd.election`.
"""
