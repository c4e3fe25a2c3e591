"""What a person or a trigger calls, over ldap3: pure Python, no agent needed on the same machine."""
