"""What this server shall have, why, and the smallest ordered change that gets there. Pure.

Goals, their specification, guards, the difference, its actions. Who holds an exclusive service is decided in
`relocd.election`; actions are carried out by `relocd.agent.convergence`.
"""
