"""`make bench-queue`: our queue daemon against Dagster's own, on one PostgreSQL, with nothing to launch."""
