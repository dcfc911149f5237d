"""Right programs of many layers, and lines of them written wrong."""
