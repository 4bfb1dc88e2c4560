"""The queue: what waits, what runs, what may start next, and who starts it."""
