"""Bringing this server to what one goal wants: observe, plan, apply, and try again with growing pauses.

What the goal is comes from `relocd.reconcile`; when a worker converges, `relocd.agent.worker` says.
"""
