"""Database and folders: what was received, the jobs, and their results."""
