"""CT perfusion: maps, core and penumbra by threshold, and the infarct that follow-up may show."""
