"""Failovers with real daemons, to watch and with a verdict: `./dev scenario`. Each file is one story or one daemon."""
