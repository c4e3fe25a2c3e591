"""Probes of health checks: HTTP, TCP, DNS and NTP, each asked of one address.

The package implements `relocd.ports.host.Probes`. When and how often is decided in `relocd.agent.health`.
"""
