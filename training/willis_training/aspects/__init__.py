"""Training of the ASPECTS pipeline: template, cases, region network, region states, evaluation."""
