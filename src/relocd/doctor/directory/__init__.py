"""The checks of a directory: `probe` reads facts over ldap3, pure checks judge them, `run` runs them all.

Fixes are proposed and never made here.
"""
