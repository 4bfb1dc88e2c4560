"""Property tests look at as many queues as a slow machine has time for, whatever one of them takes."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "queue", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("queue")
