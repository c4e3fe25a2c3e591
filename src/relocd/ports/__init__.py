"""What the agent needs of the world, as protocols; `relocd.adapters` implements them.

Every method raises only errors of `relocd.errors`: `Unavailable` when an outside system does not answer,
`Failed` when it refused, `Invalid` when an input is wrong. Coroutines never block the event loop.
Imports values and `relocd.reconcile` only. `relocd.wiring` brings ports and adapters together.
"""
