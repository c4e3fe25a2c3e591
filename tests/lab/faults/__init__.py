"""`./dev faults`: what goes wrong on real servers, done on purpose and judged from outside.

A kind (`kind.Kind`, one small class) says how it disturbs, how it heals and what must hold. `campaign` lets it happen
on a `rig` while `observer` looks on from the client and into every kernel; `verdict` judges that, `table` shows it.
"""
