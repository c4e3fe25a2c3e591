"""Clients that measure from outside who serves an address, and pure functions that judge their records.

A prober runs as a program on a host; `watch` starts it from a test.
"""
