"""From a hospital's archive to a de-identified BIDS data set with labels in patient space."""
