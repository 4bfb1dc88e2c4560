"""Which runs may join the queue, decided where they are submitted."""
