"""What happened, told to others after the fact: the history in the directory, and notifications.

Everything goes through an `Outbox`: bounded, retried, and never waited for by whoever puts something in. May be
imported by the parts of the agent that act; imports ports and values. What a record is made of is in
`relocd.model.history`; what writes and sends is in `relocd.adapters.ldap.history` and `relocd.adapters.notifications`.
"""
