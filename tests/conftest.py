"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# The machine may be busy with something else: how long an example takes says nothing about the code.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
