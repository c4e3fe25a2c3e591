"""The directory schema and OpenLDAP's access rules: the source of the files in `schema/` and of `relocd schema`.

`versions.py` compares the schema with that of a directory; `relocd.openldap.schema_upgrade` upgrades a running slapd.

Imports the model only, which has the names (`relocd.model.names`) and parses entries (`relocd.model.parse`).
"""
