"""TOML to frozen values. The keys of `relocd.toml` are in `relocd.model.settings`, with their defaults and meanings.

`configuration` reads the file into them, and has the range of each number and the conditions between keys. Messages
name file, line and key (`toml_lines`, `toml_values`). Template sets are read by `relocd.adapters.templates`.
"""
