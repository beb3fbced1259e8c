"""Simulated acquisitions over labelled anatomy, with known truth."""
