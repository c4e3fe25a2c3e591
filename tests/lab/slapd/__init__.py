"""Real slapds of the laboratory: one or two providers, their certificates, their content as LDIF, and reads of it."""
