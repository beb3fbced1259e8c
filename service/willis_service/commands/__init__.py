"""The commands of ``willis``, one module each."""
