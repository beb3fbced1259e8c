"""Network architectures on the same data, folds and budget."""
