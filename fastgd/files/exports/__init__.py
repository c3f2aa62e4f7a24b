"""Models in languages that need no fastgd: one plan of what is to be computed, and a file for each language."""
