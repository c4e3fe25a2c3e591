"""relocd: services that move between servers by one LDAP modify."""

__version__ = "0.1.0"
