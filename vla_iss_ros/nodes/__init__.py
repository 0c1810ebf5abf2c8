"""Executables: wiring only. They import what is slow to import after they can be stopped by a signal."""
