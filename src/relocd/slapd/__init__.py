"""A running slapd and its configuration database `cn=config`, over ldap3: what is there, and changes to it."""
