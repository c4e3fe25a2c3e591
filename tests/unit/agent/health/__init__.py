"""The health of services on a server, as the agent keeps it."""
