"""Celery over Redis: the hint that there is work."""
