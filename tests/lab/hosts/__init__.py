"""Hosts as namespaces of this machine: networks, servers with agents, systemd, and machines with a root of their own.

Everything is removed at the end of its `with` block. Directories are in `tests.lab.slapd`.
"""
