"""Content synchronisation (RFC 4533), pure: messages in, events, and a snapshot of what concerns this server out.

`mirror` explains the theory. Imports the model only. The connection is `relocd.adapters.ldap`; what the agent does in
doubt is in `relocd.agent.directory`.
"""
