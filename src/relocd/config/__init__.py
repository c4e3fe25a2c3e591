"""TOML to frozen values, with messages that name file, line and key; `configuration` reads `relocd.toml`.

The settings themselves are described in `relocd.model.settings`; template sets are read by `relocd.adapters.templates`.
"""
