"""The directory as the agent uses it, by python-ldap: the persistent search, direct reads, writes.

Only this folder imports ldap; `errors` maps what it raises. RFC 4533 itself is in `relocd.sync`, pure; the operator's
side uses ldap3 (`relocd.operator`).
"""
