"""Who is alive: this server's heartbeat, the heartbeats of its peers, the failure detector, and the lease guard.

The guard permits this server to serve. Who holds a service is decided in `relocd.election`.
"""
