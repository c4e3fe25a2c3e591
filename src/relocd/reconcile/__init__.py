"""What this server should have, why, and the smallest ordered change that gets there. Pure.

From the snapshot to `goals`, to a `spec` that the `guards` allow, to `desired`, and by `diff` to actions. It imports
`election` and `model`. Who holds an exclusive service is decided in `relocd.election`; `relocd.agent.convergence`
carries out the actions.
"""
