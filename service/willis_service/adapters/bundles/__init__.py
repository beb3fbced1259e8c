"""Model bundles on disk, as the application asks for them."""
