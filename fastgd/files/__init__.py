"""Models in files, and bytes that reach them whole or not at all."""
