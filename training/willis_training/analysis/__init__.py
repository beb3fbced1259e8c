"""Error analysis: where a model fails, how sure it says it is, and what it does not know."""
