"""What all unit tests share."""

from hypothesis import settings

# An example that takes long on a busy machine is no fault: no test here judges by the clock.
settings.register_profile("dagfleet", deadline=None)
settings.load_profile("dagfleet")
