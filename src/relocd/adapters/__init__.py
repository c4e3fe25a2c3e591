"""One folder for each outside system; each implements ports of `relocd.ports` and translates its library's errors.

An adapter imports the ports, the pure layers and its own library. Only `relocd.wiring` builds adapters.
"""
