"""From a judged network to a signed bundle: versions, the gate between them, changelog, keys."""
