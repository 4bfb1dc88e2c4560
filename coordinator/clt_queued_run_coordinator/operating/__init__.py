"""What an operator asks of the queue and tells it: the command `dagster-queue`."""
