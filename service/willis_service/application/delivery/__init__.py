"""Results to their destinations: planned from the database, sent by the courier, retracted."""
