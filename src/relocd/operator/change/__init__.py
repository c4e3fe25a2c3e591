"""What changes the directory: move, failover, link, fence; each one modify, with a pre-flight check and a result.

The modifies are decided by pure functions; `orders` carries them out over ldap3.
"""
