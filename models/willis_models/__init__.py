"""What a Willis model means: the clinical core. Arrays with geometry in, findings out."""
