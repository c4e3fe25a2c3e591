"""The manual pages, made when they are installed of what they describe: commands, settings, a program's docstring.

click-man knows neither arguments, environment nor exit codes, and leaves a dot at the beginning of a line to be a
request of roff; so the few lines of roff are our own. Pages are man(7), as `man -l` and mandoc read it.
"""
