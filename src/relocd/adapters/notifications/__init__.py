"""The port `NotifyTarget`: a command with JSON on its standard input, and a webhook that gets it by HTTP POST.

The service manager's own protocol (sd_notify) is another thing: `relocd.adapters.local.notify`.
"""
