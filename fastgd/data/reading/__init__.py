"""Text files, bytes to columns: source → text → rows → cells. Only `data/files.py` uses it."""
