"""OpenVLA from a local directory: action tokens, compared as distributions."""
