"""Logs as events and metrics for Prometheus. Neither ever holds a patient identifier."""
