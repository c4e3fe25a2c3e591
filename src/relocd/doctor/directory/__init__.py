"""What the directory says about itself: facts are read by `probe`, judged by pure checks, run by `run`.

Over ldap3. Fixes are proposed and never made here.
"""
