"""Configuration files, replaced as a whole: staged beside their targets, checked, installed, rolled back.

Their content is rendered by `relocd.adapters.templates`.
"""
