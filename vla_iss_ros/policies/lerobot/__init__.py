"""Policies of LeRobot, loaded from a local directory; ``loader`` is where to start."""
