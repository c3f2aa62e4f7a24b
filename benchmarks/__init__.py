"""How fast fastgd is, and whether a change has made it slower; README.md says which instrument answers what.

What names the inner modules of fastgd is `problems.py` and `stages.py`; everything else asks these two.
"""
