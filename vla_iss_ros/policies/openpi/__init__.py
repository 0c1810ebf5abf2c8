"""Policies behind an openpi server, and the server that serves them as interventions need it."""
