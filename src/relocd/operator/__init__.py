"""What a person or a trigger asks for, over ldap3: `change/` gives orders, `status/` reports, `explain/` says why.

The other files reach the directory: `access` says how, `connection` binds, `directory` is a session, `following` waits
for changes, `lookup` finds entries, `service_view` and `cluster_view` are a service or a cluster with its servers.
Imports pure layers and `openldap`.
"""
