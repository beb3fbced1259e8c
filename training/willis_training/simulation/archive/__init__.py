"""A hospital's archive with a known truth: many kinds of series, outlines drawn on some."""
