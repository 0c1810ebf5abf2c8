"""The method: torch in, torch out. No ROS, no files, no global state."""
