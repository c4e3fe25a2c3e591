"""The agent: the loop that keeps a server in the state that the directory describes.

Start with `agent.py` (events in, goals out), then `worker.py` (one goal) and `convergence/` (from a goal to its
effects); an exclusive service goes through `handover/`. It acts through `relocd.ports` only; decisions are pure and
live in `relocd.election` (who holds a service) and `relocd.reconcile` (what should be here, and the difference).
"""
