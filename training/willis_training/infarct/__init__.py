"""The infarct network: simulated cases, training, baselines, evaluation, bundle."""
