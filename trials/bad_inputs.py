"""The table of bad inputs: every public callable, with every argument in turn replaced by what nobody should pass.

What is public is found by walking the package, and so are the arguments; see recipes.py for the good ones. A call must
end in one clear sentence, or in the right answer. It may not crash, change what it was given, warn in the name of
NumPy, or answer with NaN without a word.
"""

from __future__ import annotations

from .public_names import public_names
from .recipes import without_recipe
from .trial import Outcome, Trial
from .watched import watched

ALL = 100_000  # more than there are


def bad_inputs(cases: int, seed: int) -> Outcome:
    """Call everything with bad values, in another process."""
    n, failures = watched(lambda first: ["-m", "trials.bad_worker", str(cases), str(seed), str(first)])
    n_public = sum(1 for _ in public_names())
    return Outcome(n, [*without_recipe(public_names()), *failures], f"{n_public} public names with arguments")


TRIALS = (
    Trial(
        "bad-inputs",
        "Whatever is passed to a public function or method, the answer is one clear sentence or the right numbers: "
        "never a crash, a silent NaN, or a changed array.",
        "tests/test_bad_inputs.py::test_some_bad_inputs_of_everything",
        ALL,
        bad_inputs,
    ),
)
