"""Simulated CT perfusion: a head with its vessels and a stroke, scanned while contrast passes."""
