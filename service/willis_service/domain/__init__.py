"""States and rules of studies and jobs; no library, no I/O."""
