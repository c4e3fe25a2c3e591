"""What `relocd install` writes: the systemd unit, triggers for cluster managers, manual pages.

Data files lie beside the code: `relocd.service` and `scripts/`.
"""
