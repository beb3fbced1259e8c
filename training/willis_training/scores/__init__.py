"""Classifiers of the ASPECTS regions' states, compared on equal terms."""
