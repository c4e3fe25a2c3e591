"""The manual pages, generated on installation from what they describe: commands, settings, a program's docstring.

click-man knows neither arguments, environment nor exit codes, and does not escape a dot at the begin of a line; so
`roff` writes man(7) itself, as `man -l` and mandoc read it. Pure.
"""
