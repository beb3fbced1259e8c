"""Network architectures, torch only."""
