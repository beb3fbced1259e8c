"""The pipelines: each is a value made of pure functions, listed by hand in ``registry.py``."""
