"""What the tutorial needs: a small data set to learn the way with."""
