"""A running slapd and its `cn=config`: a pair of providers, the schema, the role of a suffix, lost writes, ldapi.

Over ldap3, and over the standard library alone in `ldapi`. Knows nothing of relocd's own entries.
"""
