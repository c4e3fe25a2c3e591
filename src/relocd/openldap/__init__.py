"""What knows a running slapd and its `cn=config`: a pair of providers, roles, lost writes, the ldapi socket.

Over ldap3, and over the standard library alone in `ldapi`. relocd's own entries are not known here.
"""
