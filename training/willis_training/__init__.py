"""Produces and versions the models; never imported by the service."""
