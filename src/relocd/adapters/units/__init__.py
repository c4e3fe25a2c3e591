"""Units of systemd over D-Bus, or argument lists where there is no service manager.

Only `systemd_bus` imports dbus_fast. Which units should run is decided in `relocd.reconcile`.
"""
