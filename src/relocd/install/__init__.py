"""What `relocd install` writes: the systemd unit, triggers for cluster managers, and manual pages (`manual/`).

Data files are beside the code: `relocd.service` and `scripts/`. Imports settings and `openldap`, to describe them.
"""
