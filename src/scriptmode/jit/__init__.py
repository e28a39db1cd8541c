"""scriptmode."""
