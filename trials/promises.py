"""What the documentation promises, and the tests that hold it; trials bring promises of their own."""

from __future__ import annotations

from typing import NamedTuple


class Promise(NamedTuple):
    """A sentence of the documentation, and the tests without which nobody would know whether it is true."""

    page: str  # that makes it, below the root
    text: str
    tests: tuple[str, ...]  # file or file::function, below tests/


def held(page: str, *rows: tuple[str, str]) -> tuple[Promise, ...]:
    """The promises of one page: a sentence, and its tests, apart by blanks."""
    return tuple(Promise(page, text, tuple(tests.split())) for text, tests in rows)


PROMISES = (
    *held(
        "docs/reproducibility.md",
        ("The same seed gives the same bits.", "test_repeatable.py test_gates.py::test_hashes_of_results"),
        (
            "A row is predicted alike alone and among others.",
            "test_repeatable.py::test_a_row_alone_has_the_same_bits_as_in_a_batch",
        ),
        ("Every row comes once in each epoch, to every place equally often.", "test_random.py"),
        ("With weights, too, all batch sizes minimise one loss, which is told everywhere.", "test_rows.py"),
        ("What is not finite, or flattened by a cast, is told.", "test_unseen.py test_scaling.py test_measures.py"),
        (
            "A training that blows up is told, with a rate to try, and keeps the last good weights.",
            "test_divergence.py",
        ),
        ("A network that has died is told of.", "test_dead_networks.py"),
        ("No step allocates memory.", "test_gates.py::test_no_allocation_inside_a_step"),
        (
            "Memory beyond the data does not grow with the rows.",
            "test_gates.py::test_memory_beyond_the_data_does_not_grow_with_the_rows",
        ),
        ("Machine code is never stale, and never damaged.", "test_compilation.py test_compiled_cache.py"),
        ("Ctrl-C leaves a usable model, and the history says so.", "test_interrupts.py"),
        ("Optimizers, losses, activations and schedules have PyTorch's numbers.", "test_golden.py"),
        ("Gradients are those of central differences.", "test_gradients.py"),
        ("The compiled and the plain engine agree.", "test_mirrors.py test_mirrored_batches.py"),
        ("Exponentials and their kin are accurate and monotone.", "test_elementary.py"),
        ("Networks without hidden layer are the models of scikit-learn.", "test_equals_others.py"),
        ("A training goes on from a file bit for bit.", "test_state.py"),
    ),
    *held(
        "docs/threads.md",
        (
            "The number of threads changes no bit.",
            "test_repeatable.py::test_the_number_of_threads_does_not_matter test_threads.py",
        ),
        ("Affinity, quotas and variables limit the threads.", "test_cores.py"),
        ("A core that another program wants is left to it.", "test_team_size.py"),
    ),
    *held(
        "docs/tables.md",
        (
            "A table that cannot be used is refused with one sentence that names the place.",
            "test_tables.py test_columns.py",
        ),
        ("Text, gaps and outliers are learned from as they come, on both engines.", "test_encoding.py test_lookups.py"),
        ("Monotone columns hold for every row and every step.", "test_monotone.py"),
        ("Labels that come later find their place.", "test_labels.py"),
    ),
    *held(
        "docs/streams.md",
        (
            "What fits into a buffer is learned with the bits of the table in memory.",
            "test_streams_fit.py test_buffers.py",
        ),
        ("Reading takes the memory of a few parts.", "test_streams_memory.py"),
        ("A file that changes or breaks is told with part and row.", "test_streams_broken.py"),
        ("One pass teaches what the whole table does.", "test_streams_survey.py"),
    ),
    *held("docs/pieces.md", ("Pieces are fits of one epoch to the bit.", "test_partial_fit.py")),
    *held(
        "docs/estimators.md",
        ("The estimators keep scikit-learn's conventions.", "test_estimators.py test_estimator_tables.py"),
        ("Real tables are learned as well as was measured.", "test_real_data.py"),
    ),
    *held(
        "docs/many.md",
        ("Networks trained side by side have the bits of each alone.", "test_fit_many.py test_lockstep.py"),
    ),
    *held(
        "docs/clusters.md",
        ("Records are those of one machine to the bit; killed workers lose nothing.", "test_cluster.py"),
    ),
    *held(
        "docs/machines.md",
        ("All ranks hold the bits of one process that takes the same shards.", "test_mpi.py test_shared_steps.py"),
        (
            "An error on one rank is a sentence on all, and none hangs.",
            "test_mpi.py test_ranks.py test_fit_on_ranks.py",
        ),
    ),
    *held("docs/ensembles.md", ("Intervals hold the share that was asked for.", "test_intervals.py")),
    *held("docs/finding_options.md", ("Rounds of a search go on exactly where they stood.", "test_search.py")),
    *held(
        "docs/file_format.md",
        ("Files of earlier versions are read for ever.", "test_golden_files.py"),
        ("A file is written whole or not at all.", "test_atomic.py"),
        ("The page is true: its code predicts.", "test_file_format.py"),
    ),
    *held(
        "docs/exports.md",
        ("ONNX, C and NumPy predict what the model does.", "test_export_onnx.py test_export_c.py test_export_numpy.py"),
        ("Networks of PyTorch and scikit-learn predict what they did.", "test_imports.py"),
    ),
    *held(
        "docs/compiled_code.md",
        ("Compiled calls have the bits of predict and fit, and allocate nothing.", "test_compiled_calls.py"),
    ),
    *held(
        "docs/command_line.md",
        (
            "Every mistake is one line, with an exit code.",
            "test_cli.py test_commands.py test_train.py test_predict_command.py",
        ),
        ("What comes from files is harmless on the terminal.", "test_terminal.py"),
    ),
    *held("docs/seeing.md", ("Blame, nudges and steps are the numbers of the kernels that train.", "test_blame.py")),
    *held(
        "docs/gpu.md",
        (
            "Without a card, the kernels of the GPU learn what the CPU learns.",
            "test_cuda_engine.py test_cuda_contract.py",
        ),
        ("What a GPU lacks has a sentence of its own.", "test_cuda_missing.py"),
    ),
    *held(
        "SECURITY.md",
        (
            "No flipped bit changes a model, and a promise in a header costs nothing.",
            "test_tensors.py test_damaged_files.py",
        ),
        ("Names are text in pages, never markup.", "test_html.py"),
        ("Nothing of another library's is executed.", "test_imports.py::test_no_pickle_is_read"),
    ),
    *held("README.md", ("The public face has types.", "test_typing.py")),
)
