"""The composition root: settings in, the parts of the service put together out.

Only this package knows which adapter serves which port. What runs them is in ``roles`` (one
process) and ``supervisor`` (all of them). Import the module you need: each one brings in only the
libraries of its parts, and a receiver need not wait for those of a worker.
"""
