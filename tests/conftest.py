from hypothesis import HealthCheck, settings

# Properties say what holds, not how fast: on a busy machine neither a slow example nor slow data is a failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
