"""Entries, template sets, settings and what is seen of a host, as frozen values. Pure: parsing and comparing.

`names` has every attribute name of the schema once, `status` is the one codec of `cn=status`. Imports only
`relocd.errors` and `relocd.printable`; everything else may import this.
"""
