"""NIfTI in, and label maps out on the same grid."""
