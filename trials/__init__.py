"""Long trials of what the package promises: thousands of cases where a test has a few.

    python -m trials                          which there are
    python -m trials NAME ...                 run those, with all their cases
    python -m trials NAME --cases 20          fewer
    python -m trials NAME --record            keep what was found in trials/results, for the ledger
    python -m trials.ledger                   write docs/ledger.md from it
    python -m trials.soak --minutes 60        the soak by the clock, which tells every minute how it goes

Each module here holds trials of one kind in its `TRIALS`; a test under tests/ runs the same function with few cases.
"""
