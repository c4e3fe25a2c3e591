"""relocd: services that move between servers by one LDAP modify."""
