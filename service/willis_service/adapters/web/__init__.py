"""What people look at: the report page and its pictures."""
