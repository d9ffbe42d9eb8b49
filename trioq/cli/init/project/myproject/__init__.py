"""myproject."""
