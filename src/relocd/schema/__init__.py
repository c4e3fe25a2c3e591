"""The directory schema and the access rules: the one source of the files in `schema/` and of `relocd schema`.

Parsing of entries is in `relocd.model`.
"""
