"""Prometheus metrics of the queue."""
