"""The handover rules in random schedules of failures, with the real rules, writes and, on request, the real mirror.

`schedule` says what is checked and under which conditions; `./dev simulate` runs it.
"""
