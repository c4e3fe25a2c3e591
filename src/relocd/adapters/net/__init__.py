"""The network of this host: addresses by rtnetlink, ARP and neighbour discovery by raw frames.

Only `rtnetlink` and `rtnetlink_messages` import pyroute2. Frames and the table of addresses are pure.
Which address belongs on which interface is decided in `relocd.reconcile`.
"""
