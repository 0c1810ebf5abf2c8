"""Where region maps come from."""
