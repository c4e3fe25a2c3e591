"""Configuration files, replaced whole: checked, staged beside their targets, put in place, taken back.

What is in them is rendered by `relocd.adapters.templates`.
"""
