"""From one goal to its effects: plan, permit, actions, and the footprint that is recorded in the ledger.

What the goal is and what the difference is come from `relocd.reconcile`; when a worker converges is decided in
`relocd.agent.worker`. Imports no other part of the agent but the shared state.
"""
