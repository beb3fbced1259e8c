"""Training of any network on any source of samples: one configuration, one loop, exact resume."""
