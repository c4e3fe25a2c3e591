"""Probes of health checks, against servers that the tests run on loopback."""
