"""What learns, predicts and measures: weights and scaling, checked tables in, kernels, numbers in the user's units out.

A model owns its engine: the device that was asked for in the last fit also predicts, measures and explains.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import tables
from ..data.frames import frame_like
from ..data.rows import Measured, labelled, measured
from ..data.streams.stream import Stream, as_stream
from ..kernels import DEFAULT_DEVICE
from ..kernels.records import Reals, read_only
from ..options import checked_names, positive_integer, yes_or_no
from ..training import loop
from ..training.callback_list import CallbackList
from ..training.cores import allowance
from ..training.devices import AUTO, Work, asked_device, chosen
from ..training.history import History
from ..training.optimizers import Optimizer
from ..training.progress import display
from ..training.run import Job, Watch
from ..training.state import TrainingState, training_state
from . import measures, unseen
from .alike import FitOptions
from .answers import answers, check_classes, named, named_probabilities, output_names, probabilities
from .lessons import HeldOut, Options, check_there_is, taken, taken_from_stream
from .model import Model, alone
from .on_ranks import fit_on_ranks
from .streamed import check_stream, loss_and_accuracy, measured_over, outputs_of_stream
from .validation import measured_names, validation

if TYPE_CHECKING:
    from ..kernels.machinery.nets import CompiledNet


class Core(Model):
    """A model that learns, predicts and measures; fastgd.MLP documents how one is made."""

    @checked_names
    @alone
    def fit(
        self,
        X: Any,
        y: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        optimizer: Optimizer | None = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: dict[Any, float] | str | None = None,
        shuffle: bool = True,
        callbacks: Any = (),
        n_threads: int | str = "auto",
        device: str | None = None,
        buffer_rows: int | None = None,
        verbose: str | int = "auto",
        comm: Any = None,
    ) -> History:
        """Train: for each batch of rows predict, measure the loss, and nudge every weight against its gradient.

        A second call goes on exactly where the first one stopped: it keeps the scaling, the moments of an optimizer
        of the same kind, the position in its schedule, and the count of epochs that orders rows. Ctrl-C stops the
        training and keeps what was learned; the history says so (the next fit then begins a new epoch). Other threads
        may predict with the model, copy and save it meanwhile, as it was after a step; see docs/threads.md.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame; with device="cuda" also an array that lies on the GPU. Or
                a stream, for tables that memory does not hold: a fastgd.Stream, or what it is made of by itself, such
                as the path of a file, an iterable of batches (X, y), or a function that makes one for each epoch. All
                rows are then read once before the first step, to learn about the columns.
            y: actual values, (n_rows,) or (n_rows, n_targets), likewise; labels for classes, whole numbers or text.
                None for a stream that has them.
            epochs: passes over all rows.
            batch_size: rows per step; the last batch of an epoch may be smaller.
            optimizer: such as fastgd.Adam(learning_rate=0.001); by default that of the last fit, at first
                AdamW with a rate of 0.01 after 20 steps of warm-up, weight_decay=0.1, clip_norm=1 and ema_decay=0.99,
                which gets along with outliers.
            validation_data: (X, y) or (X, y, sample_weight) whose loss is measured after each epoch, as "val_loss"; or
                a stream that has them.
            validation_split: share of the rows, drawn at random, that is held out for the same purpose; of a stream
                about this share, as `Stream.split` does it with the seed of the model.
            sample_weight: how much each row counts, (n_rows,), at least 0; only ratios count. A batch's loss is
                Σ weight · loss of a row, over its rows times the mean weight of all rows, so that an epoch's batches
                add up to the weighted loss of the table. (PyTorch and scikit-learn divide by the weights of the batch,
                which takes their effect away in small batches.)
            class_weight: how much each class counts, such as {"yes": 3}, times the row's own weight; "balanced" makes
                all classes of the rows to train on count the same. "val_loss" counts classes likewise, "val_accuracy"
                does not.
            shuffle: whether each epoch has its own random order of rows.
            callbacks: one fastgd.callbacks.Callback, such as EarlyStopping(), or a list of them.
            n_threads: how many threads may share the work of a batch; "auto": all cores that the process may use, but
                one inside of workers (joblib, Dask) and as NUMBA_NUM_THREADS or OMP_NUM_THREADS say. As many do as are
                fastest, which is found out in some milliseconds and kept for the next fit; the history says it. The
                result has the same bits for any number. On a GPU it says nothing.
            device: "cpu" for the compiled loops, "plain" for the same in NumPy, "cuda" for an NVIDIA GPU; by default
                that of the last fit, at first "cpu". The model predicts, measures and explains there, too. "auto" is
                "cuda" where that can run, batches have 1,024 rows or more, and rows × epochs × parameters are 1e12 or
                more, which is an estimate, not measured on a card; else "cpu". The history says why.
            buffer_rows: how many rows of a stream are shuffled together and held in memory, twice, because the next are
                read meanwhile; by default 256 MB. Parts of files come in an order of their own in each epoch. A stream
                that fits into one buffer is learned as the same table in memory, to the bit.
            verbose: "auto" (a live bar on a terminal, a few lines elsewhere), 0 (nothing), 1 (bar), 2 (every epoch).
            comm: a communicator of mpi4py whose processes train this network together, each with rows of its own in
                `X` and `y`; see docs/machines.md. batch_size is that of all together. All must be given the same
                options; callbacks, validation_data and verbose count on rank 0. All end with the same model and
                history, and an error on one is raised by all.

        Returns:
            The history: for each epoch the mean "loss" of its batches in the units of y (without dropout's absence or
            penalties), the "learning_rate" of its last step, and with validation rows "val_loss".

        Raises:
            InvalidInputError: a table or option that cannot be used; nothing has changed. (A schedule that returns
                nonsense at a later step ends the training there.)
            DivergenceError: the loss became infinite or NaN; the model goes back to its last good weights.
            DeviceError: device="cuda" cannot run here, and nothing has changed; or the GPU failed on the way.
            BusyError: the model learns in another thread, or in the middle of this one's fit; nothing has changed.
            RankError: another process of comm has failed, and how, or is gone.
        """
        if comm is not None:
            given = FitOptions(
                epochs, batch_size, optimizer, validation_data, validation_split, class_weight, shuffle, callbacks,
                n_threads, device, buffer_rows, verbose,
            )  # fmt: skip
            with self.turns.changing(trains=True):
                return fit_on_ranks(self, comm, (X, y, sample_weight), given, partial(validation, self))
        epochs = positive_integer(epochs, "epochs", least=0)
        batch_size = positive_integer(batch_size, "batch_size")
        shuffle, threads = yes_or_no(shuffle, "shuffle"), allowance(n_threads)
        asked = asked_device(self.device if device is None else device)
        reads = DEFAULT_DEVICE if asked == AUTO else asked  # whose kernels read the table: its size is not known yet
        state = self.training_state(optimizer)
        watch = Watch(display(verbose), CallbackList(callbacks, self), None)
        options = Options(
            self.random_state, state.epoch, shuffle, class_weight, validation_data, validation_split, self.initializer
        )
        stream, schema = as_stream(X, y, sample_weight, buffer_rows), replace(self.schema, device=reads)
        if stream is None:
            lesson = taken(schema, self.net, X, y, sample_weight, options)
        else:
            lesson = taken_from_stream(schema, self.net, stream, options, batch_size, watch.display.reading)
            check_stream(lesson.feed, epochs, state.optimizer, asked)
        held_out = watch.callbacks.held_out = lesson.held_out
        if isinstance(held_out, Measured):
            unseen.tell_of_ignored(lesson.net, held_out.X, "validation_data", lesson.schema)
        names = ["loss", "learning_rate"] + (measured_names(self.schema) if held_out else [])
        watch.callbacks.check_monitors(names, state.optimizer.schedule.plateau())
        before = self.twin() if lesson.schema.network is not self.network else None
        n_rows = lesson.feed.n_rows or batch_size
        total = float(n_rows) * epochs * lesson.net.parameters.size
        choice = chosen(asked, [Work(None, min(batch_size, n_rows), total)])
        device, old_schema, old_device = choice.device, self.schema, self.device
        schema = lesson.schema if device == reads else replace(lesson.schema, device=device)
        with self.turns.changing(trains=True):
            self.take_over(schema, lesson.net)
            if before:  # the weights are new ones, and what a fit without a step has left is of other ones
                state = training_state(None, state.optimizer, self.net.parameters)
            self.fit_state, self.device = state, device
            if any(callback.monitor == "loss" for callback in watch.callbacks.early_stopping):
                seen = lesson.seen()
                watch.callbacks.settled_loss = lambda: self.loss_of(seen)
            loss, unit = self.objective, self.loss_unit
            job = Job(
                self.net, lesson.feed, loss, state, self.engine, device, unit, epochs, batch_size, threads,
                self.store, self.turns, choice.reason,
            )  # fmt: skip
            try:
                return loop.fit(job, watch._replace(validate=validation(self, held_out) if held_out else None))
            except Exception:
                if not state.steps:
                    self.forget_table(before, old_schema, old_device)
                raise

    @checked_names
    def predict(self, X: Any, as_frame: bool = False) -> Any:
        """Predict, in the units of y: (n_rows,) for a network with one output, else (n_rows, n_out).

        Classes are predicted as labels, counts as rates, and for gaussian_nll the means come first, then the standard
        deviations. A row's prediction has the same bits alone and among others (not with device="plain"). A column that
        did not vary while the model learned is ignored, with a warning where most rows differ from what it was.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            as_frame: whether to return a data frame of the same library, with the same index: one column, "prediction",
                or one for each output.

        Raises:
            InvalidInputError: a table that cannot be used, or a row so far from those of the fit that its prediction
                is no finite number.
        """
        predictions = self.look(lambda model: answers(model.schema, model.outputs_seen(X)))
        if as_frame is False or not yes_or_no(as_frame, "as_frame"):  # a row alone takes 3 µs
            return predictions
        return frame_like(X, named(predictions, output_names(self.network)))

    @checked_names
    def predict_proba(self, X: Any, as_frame: bool = False) -> Any:
        """Probabilities of the classes, (n_rows, n_classes) in the order of `classes`; each row adds up to 1.

        Outputs whose class has not come yet stand last. For several yes/no labels, (n_rows, n_labels): the probability
        of each.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            as_frame: whether to return a data frame of the same library, with a column for each class.

        Raises:
            InvalidInputError: a table that cannot be used, or a model that does not predict classes.
        """
        check_classes(self.network)
        schema, found = self.look(lambda model: (model.schema, probabilities(model.network, model.outputs_seen(X))))
        return frame_like(X, named_probabilities(schema, found)) if yes_or_no(as_frame, "as_frame") else found

    @checked_names
    def evaluate(self, X: Any, y: Any = None, sample_weight: Any = None) -> dict[str, float]:
        """How wrong the predictions are: "loss", and what people compare, in the units of y.

        Regression: "rmse", "mae", "r2" (R², 1 is perfect). Quantiles: for each level the share of actual values below
        it, such as "below_0.9". All are measured in float64 against y as it is given. With several targets "rmse" is
        the root of the mean over rows and targets (scikit-learn's is the mean of each target's root), "mae" and "r2"
        are means over the targets.

        Classes: "accuracy", "balanced_accuracy" (the mean recall), "roc_auc", "average_precision", and for each class
        such as "recall_yes" and "precision_yes" (their means "recall" and "precision" where there are more than ten);
        the loss is the log loss. Rankings are by the probability of the second of two classes, of more classes the mean
        of each against the others. Several yes/no labels have means over the labels. All are scikit-learn's, but what
        no row says anything of is left out: the recall of a class that does not occur, the precision of one that is
        never predicted, both rankings where all rows are of one class. Such classes are left out of means, too. Of a
        stream rankings are left out, because they need all rows at once.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            sample_weight: how much each row counts, (n_rows,).

        Raises:
            InvalidInputError: a table that cannot be used, or a row that has no finite prediction (see `predict`).
        """
        if stream := as_stream(X, y, sample_weight, None, once=True):
            return self.look(lambda model: measured_over(model, stream))
        check_there_is(y)
        return self.look(lambda model: model.measured(X, y, sample_weight))

    def measured(self, X: Any, y: Any, sample_weight: Any) -> dict[str, float]:
        """What `evaluate` says of a table."""
        rows = measured(self.schema, X, y, sample_weight)
        predictor = self.predictor()
        if predictor.ignores:
            unseen.tell_of_ignored(self.net, rows.X, "X", self.schema)
        outputs, finite = predictor.outputs_as_they_are(rows.X)
        out = predictor.in_user_units(outputs)
        if not (finite and np.isfinite(out).all()):
            unseen.refuse(self.net, rows.X, out, self.schema)
        return measures.metrics(measures.loss_of(self.schema, self.net, rows, outputs), self.schema, rows, out)

    @checked_names
    def gradient(self, X: Any, y: Any, sample_weight: Any = None) -> Reals:
        """The loss's gradient, (n_parameters,): every weight's share of the blame, as the mean over the rows.

        It is the gradient that training uses, without dropout and penalties: of the loss with the target in standard
        deviations, as `fit` scales it (with standardize=False or before `fit`, in its own units). For counts of a mean
        m below 1 it is √m times that of the loss in units of m, see fastgd.losses.Poisson.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            sample_weight: how much each row counts, (n_rows,).

        Raises:
            InvalidInputError: a table that cannot be used.
        """
        return self.look(lambda model: model.gradient_seen(X, y, sample_weight))

    def gradient_seen(self, X: Any, y: Any, sample_weight: Any) -> Reals:
        """What `gradient` says."""
        rows = labelled(self.schema, X, y, sample_weight)
        gradient = measures.gradient_of(self.engine, self.net, self.objective, rows)
        if not np.isfinite(gradient).all():
            unseen.tell_of_gradient(rows, self.outputs_of(rows.X)[0])
        return gradient

    def compiled(self) -> CompiledNet:
        """What your own functions compiled by Numba may hold, for fastgd.predict_row, predict_rows and train_batch.

        It shares the model's parameters: what is learned on one side is seen on the other. Pass it as an argument; it
        belongs to this process. It predicts by the compiled loops, whatever `device` is. Ask for it after the first
        `fit`, which learns the scaling.

        Raises:
            InvalidInputError: a model whose tables are encoded, one too wide for scratch on the stack, or one without
                the scaling that it is to have.

        Example:
            >>> import fastgd, numpy as np
            >>> model = fastgd.MLP([4, 8, 1], standardize=False, random_state=0)
            >>> net, out = model.compiled(), np.empty(1, np.float32)
            >>> fastgd.predict_row(net, np.ones(4, np.float32), out)
            True
            >>> bool(out == model.predict(np.ones((1, 4))))
            True
        """
        from .compiled import compiled

        return compiled(self)

    # What the rooms around ask for.

    def loss_of(self, rows: HeldOut) -> float:
        """The loss of rows in the user's units, as `evaluate` and the history tell it."""
        if isinstance(rows, Stream):
            return loss_and_accuracy(self, rows)[0]
        return measures.loss_of(self.schema, self.net, rows, self.predictor().outputs_as_they_are(rows.X)[0])

    def outputs_of(self, values: Reals) -> tuple[Reals, bool]:
        """Outputs for checked inputs, in the user's units, and whether these and the scaled inputs are all finite."""
        return self.look(lambda model: model.predictor().outputs(values))

    def training_state(self, optimizer: Any) -> TrainingState:
        """What the next fit starts from; by default with the optimizer of the last one."""
        return training_state(self.fit_state, optimizer, self.net.parameters)

    def outputs_for(self, X: Any) -> Reals:
        """What the network puts out for a table."""
        return self.look(lambda model: model.outputs_seen(X))

    def outputs_seen(self, X: Any) -> Reals:
        """The same, of a model that stays as it is. One that is as kernels take it is looked at by the kernel alone."""
        predictor = self.predictor()
        fits = self.schema.encoder is None and tables.fits(X, self.dtype, predictor.n_in)
        if not fits and (stream := as_stream(X, None, None, None, once=True)):
            return outputs_of_stream(stream, self.outputs_seen)
        values = read_only(X.view()) if fits else self.schema.unchecked(X)
        out, finite = predictor.outputs(values)
        if not finite:
            unseen.refuse(self.net, self.schema.inputs(X).values, out, self.schema)
        if predictor.ignores:
            unseen.tell_of_ignored(self.net, values, "X", self.schema)
        return out
