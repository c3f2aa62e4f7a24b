"""A training that was cut off goes on from its checkpoint as if nothing had been, and from no other file."""

from __future__ import annotations

import dataclasses
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from inside import memory_of
from model_files import with_header
from ranks_double import returned, together

import fastgd
from fastgd.callbacks import Callback, Checkpoint, EarlyStopping
from fastgd.errors import CheckpointWarning, InvalidInputError, ModelFileError
from fastgd.files import disk
from fastgd.training import loop
from trials.resumed import CutOffAfter, CutOffError, differences, run

SCHEDULES = fastgd.schedules
STEPS = 6  # of an epoch
CHUNK = 2  # steps between two checkpoints


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(loop, "MOST_CHUNK_STEPS", CHUNK)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


def houses():
    return fastgd.datasets.houses(16 * STEPS, random_state=0)


def train(*callbacks, model=None, optimizer=None, rows=None, **options):
    """Four epochs of six steps, validated."""
    made = {name: options.pop(name) for name in ("dtype", "dropout", "random_state") if name in options}
    model = model or fastgd.MLP([4, 6, 1], **{"dropout": 0.2, "random_state": 3, **made})
    X, y = houses()
    options = {"epochs": 4, "batch_size": 16, "validation_data": (X[:30], y[:30] * 1.1), "verbose": 0, **options}
    optimizer = optimizer or fastgd.Adam(0.01, ema_decay=0.9)
    return model, model.fit(*(rows or (X, y)), optimizer=optimizer, callbacks=list(callbacks), **options)


def cut_off(path, times, *callbacks, **options):
    with pytest.raises(CutOffError):
        train(*callbacks, CutOffAfter(path, times), **options)


def resume(path, *callbacks, **options):
    return train(*callbacks, Checkpoint(path, resume=True), **options)


def everything():
    """What remembers most: a plateau, two early stops, an average."""
    plateau = SCHEDULES.WarmUp(SCHEDULES.ReduceOnPlateau(0.05, factor=0.5, patience=0, threshold=0.5), steps=3)
    stops = EarlyStopping(patience=4, min_delta=1e12), EarlyStopping("loss", patience=9, min_delta=4e9)
    return stops, {"optimizer": fastgd.AdamW(plateau, ema_decay=0.9), "epochs": 6}


OPTIMIZERS = [fastgd.SGD(0.05, momentum=0.9), fastgd.Adagrad(), fastgd.RMSprop(0.01, momentum=0.5), fastgd.Adam()]
RATES = [
    SCHEDULES.StepDecay(0.05, every=5), SCHEDULES.Exponential(0.05, every=5), SCHEDULES.InverseTime(0.05, every=5),
    SCHEDULES.Cosine(0.05), SCHEDULES.Cosine(0.05, steps=9), SCHEDULES.CosineRestarts(0.05, period=4),
    SCHEDULES.OneCycle(0.05), SCHEDULES.WarmUp(SCHEDULES.Cosine(0.05), steps=8),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS + [fastgd.SGD(rate, ema_decay=0.5) for rate in RATES], ids=str)
def test_every_optimizer_and_schedule_goes_on(path, optimizer):
    options = {"optimizer": optimizer, "dtype": "float64"}
    whole = train(**options)
    for times in (2, 1, 5):  # inside the first epoch, right after that, some epochs later
        cut_off(path, times, **options)
    assert differences(whole, resume(path, **options)) == []


@pytest.mark.parametrize("times", [1, 2, 4, 7, 9, 12])
def test_wherever_it_is_cut_off(path, times):
    stops, options = everything()
    whole = train(*stops, **options)
    assert whole[1].ended == "callback", "the case is about early stopping, too"
    stops, options = everything()
    cut_off(path, times, *stops, **options)
    epoch = 1 + memory_of(fastgd.load(path)).course.epochs
    stops, options = everything()
    again = resume(path, *stops, **options)
    assert differences(whole, again) == []
    assert again[1].resumed == f"resumed in epoch {epoch} of 6, as m.safetensors has it"


def test_trainings_that_are_cut_off_end_as_others():
    outcome = run(8, seed=1)
    assert outcome.failures == []
    assert int(outcome.figure.split()[0]) >= 8


class Forgets(Checkpoint):
    """Goes on from what a file has, without a part of it."""

    def __init__(self, path, change):
        super().__init__(path, resume=True)
        self.change = change

    def saved(self):
        model = super().saved()
        self.change(model.fit_state)
        return model


def course(**changes):
    def change(memory):
        memory.course = dataclasses.replace(memory.course, **changes)

    return change


def less(kept, name, value=0):
    return lambda memory: setattr(kept(memory), name, value)


def waiting(**changes):
    def change(memory):
        seen = tuple(one._replace(**changes) for one in memory.course.waiting)
        memory.course = dataclasses.replace(memory.course, waiting=seen)

    return change


def itself(memory):
    return memory


FORGOTTEN = {
    "steps of the epoch": course(step=0), "loss of the epoch": course(loss=0.0), "its weight": course(weight=1.0),
    "first step": course(first_step=5), "history": lambda memory: memory.course.history["loss"].reverse(),
    "what was best": waiting(best=np.inf), "best epoch": waiting(best_epoch=-1), "epochs waited": waiting(waited=0),
    "best parameters": waiting(parameters=None), "epoch": less(itself, "epoch"), "origin": less(itself, "origin", 7),
    "raw": less(itself, "raw", None), "start": less(itself, "start", 9.0),
    "factor of the plateau": less(lambda memory: memory.plateau, "factor_left", 1.0),
    "best of the plateau": less(lambda memory: memory.plateau, "best", np.inf),
    "moments": lambda memory: memory.state.velocity.fill(0), "squares": lambda memory: memory.state.squares.fill(0),
    "average": lambda memory: memory.state.average.fill(0), "count of steps": lambda memory: memory.state.step.fill(9),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::fastgd.errors.FastgdWarning")  # of nonsense
@pytest.mark.parametrize("forgotten", [*FORGOTTEN, "nothing"])
def test_whatever_is_forgotten_is_seen(path, forgotten):
    stops, options = everything()
    whole = train(*stops, **options)
    stops, options = everything()
    cut_off(path, 8, *stops, **options)  # in the third epoch
    stops, options = everything()
    again = train(*stops, Forgets(path, FORGOTTEN.get(forgotten, lambda memory: None)), **options)
    assert bool(differences(whole, again)) == (forgotten != "nothing")


class Notes(Checkpoint):
    """Remembers what the model predicted whenever it was written."""

    def save(self, is_over):
        super().save(is_over)
        self.predicted = self.model.predict(houses()[0])
        if not is_over:
            raise CutOffError


@pytest.mark.parametrize("optimizer", [fastgd.SGD(0.05), fastgd.SGD(0.05, ema_decay=0.9)], ids=str)
def test_the_file_predicts_as_the_model_would(path, optimizer):
    notes = Notes(path, seconds=0)
    with pytest.raises(CutOffError):
        train(notes, optimizer=optimizer)
    model = fastgd.load(path)
    assert (model.predict(houses()[0]) == notes.predicted).all()
    model.save(path, training_state=True)  # a model that is only loaded keeps where its training was
    assert differences(train(optimizer=optimizer), resume(path, optimizer=optimizer)) == []
    moved, _ = train(model=model, optimizer=optimizer)
    assert memory_of(moved).course is None
    moved.save(path, training_state=True)
    with pytest.raises(InvalidInputError, match="is no checkpoint of a training"):
        resume(path, optimizer=optimizer)


def test_a_finished_training_is_left_as_it_is(path, capsys):
    stops, options = everything()
    whole = train(*stops, Checkpoint(path), **options)
    content = path.read_bytes()
    stops, options = everything()
    again = resume(path, *stops, **options, verbose=2)
    assert differences(whole, again) == []
    assert again[1].resumed == "finished before, as m.safetensors has it"
    assert again[1].resumed in repr(again[1])
    assert "finished before, as m.safetensors has it" in capsys.readouterr().out
    assert path.read_bytes() == content
    with pytest.raises(InvalidInputError, match="has a training that began with other weights"):
        resume(path, *everything()[0], **options, model=again[0])  # it would train on


def test_it_is_told_where_it_goes_on(path, capsys):
    cut_off(path, 7)
    epoch = 1 + memory_of(fastgd.load(path)).course.epochs
    _, history = resume(path, verbose=2)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"resumed in epoch {epoch} of 4, as m.safetensors has it" == history.to_dict()["resumed"]
    assert [line.split("  ")[0] for line in shown[1:]] == [f"epoch {k}/4" for k in range(epoch, 5)]
    assert train()[1].resumed == ""


OTHERS = {
    "epochs 4, and this one has 5": {"epochs": 5},
    "batch_size 16, and this one has 8": {"batch_size": 8},
    "optimizer Adam": {"optimizer": fastgd.Adam(0.02, ema_decay=0.9)},
    "dropout 0.2, 0.0, and this one has 0.0, 0.0": {"dropout": 0.0},
    "dtype float32": {"dtype": "float64"},
    "random_state 3": {"random_state": 4},
    "shuffle True": {"shuffle": False},
    "device cpu": {"device": "plain"},
    "layer_sizes 4-6-1": {"model": fastgd.MLP([4, 5, 1], dropout=0.2, random_state=3)},
    "loss MeanSquaredError": {"model": fastgd.MLP([4, 6, 1], dropout=0.2, random_state=3, loss="mae")},
    "activation relu": {"model": fastgd.MLP([4, 6, 1], "tanh", dropout=0.2, random_state=3)},
    "early stopping none": {"stop": EarlyStopping(patience=3)},
    "number of rows 96": {"rows": [table[:90] for table in houses()]},
    "with other rows": {"rows": (houses()[0], houses()[1][::-1])},
    "validated with other rows": {"validation_data": None},
    "with other columns, or another scaling": {"model": fastgd.MLP([4, 6, 1], dropout=0.2, random_state=3,
                                                                   standardize=False)},
    "that began with other weights": {"model": fastgd.MLP([4, 6, 1], dropout=0.2, random_state=3,
                                                          initializer="glorot_uniform")},
}  # fmt: skip


@pytest.mark.parametrize("said", OTHERS)
def test_the_file_of_another_training_is_refused(path, said):
    cut_off(path, 4)
    content, options = path.read_bytes(), {**OTHERS[said]}
    stop = [options.pop("stop")] if "stop" in options else []
    model = options.get("model")
    before = None if model is None else model.parameters.copy()
    with pytest.raises(InvalidInputError, match=f"m.safetensors has a training .*{said}") as caught:
        resume(path, *stop, **options)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    assert before is None or (model.parameters == before).all()
    assert resume(path)[1].epochs == 4


def test_other_weights_of_rows_are_other_rows(path):
    weights = np.linspace(0.5, 2, 16 * STEPS)
    cut_off(path, 4, sample_weight=weights)
    with pytest.raises(InvalidInputError, match="with other rows, or weights of rows"):
        resume(path)
    assert differences(train(sample_weight=weights), resume(path, sample_weight=weights)) == []


def test_files_that_cannot_be_gone_on_from(path, tmp_path):
    fastgd.MLP([4, 1]).save(path)
    with pytest.raises(
        InvalidInputError, match=r"m.safetensors is no checkpoint of a training: give Checkpoint another"
    ):
        resume(path)
    fastgd.Ensemble([fastgd.MLP([4, 1], standardize=False)]).save(path)
    with pytest.raises(InvalidInputError, match=r"m.safetensors is no checkpoint of a training"):
        resume(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="truncated"):
        resume(path)
    with pytest.raises(InvalidInputError, match="function cannot be saved"):
        train(Checkpoint(path), optimizer=fastgd.SGD(lambda step: 0.1))
    for options in ({"seconds": -1}, {"seconds": np.nan}, {"seconds": "1"}, {"resume": 2}, {"path": 3}, {"path": b"m"}):
        with pytest.raises(InvalidInputError, match=next(iter(options))):
            Checkpoint(**{"path": path, **options})
    with pytest.raises(InvalidInputError, match="spec 0: Checkpoint is for the fit of one network"):
        fastgd.fit_many([{"layer_sizes": [4, 1]}], *houses(), callbacks=[Checkpoint(path)], verbose=0)


class Steps(Callback):
    """Notes that the training has begun."""

    begun = False

    def on_train_begin(self, logs=None):
        self.begun = True


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is a folder"), ("none/m", "there is no folder .*none"), ("m/m", "there is no folder"),
        ("a\0b", "is not the name of a file"), ("x" * 300, "File name too long"), ("pipe", "pipe|no file that could"),
    ],
)  # fmt: skip
def test_where_nothing_can_be_written_no_training_begins(tmp_path, name, why, resume):
    (tmp_path / "m").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    steps = Steps()
    with pytest.raises((InvalidInputError, ModelFileError), match=why):
        train(steps, Checkpoint(f"{tmp_path}/{name}", resume=resume))
    assert not steps.begun


def test_a_closed_folder_is_told_before_the_training_unless_nothing_is_left_to_do(path, monkeypatch):
    whole = train(Checkpoint(path))
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != path.parent)
    with pytest.raises(InvalidInputError, match=r"Checkpoint: .*closed to you. Name another path"):
        train(Checkpoint(path))
    assert differences(whole, resume(path)) == []


def test_another_training_with_the_same_file_is_told_once(path, tmp_path):
    class Other(Callback):
        def on_epoch_end(self, epoch, logs=None):
            fastgd.MLP([4, 1 + epoch, 1]).save(path)

    with pytest.warns(CheckpointWarning, match=r"m.safetensors was written by somebody else") as told:
        train(Other(), Checkpoint(path, seconds=0))
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(Checkpoint(path, seconds=0))  # an old file is replaced, and its own file is no other's
        resume(path)


def test_the_file_stays_where_it_is_when_the_working_directory_changes(tmp_path, monkeypatch):
    class Moves(Callback):
        def on_epoch_end(self, epoch, logs=None):
            os.chdir(tmp_path / "elsewhere")

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    train(Moves(), Checkpoint("m.safetensors", seconds=0))
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["m.safetensors"]
    assert fastgd.load(tmp_path / "m.safetensors").fit_state.course.end


OUT_OF_RANGE = [
    {"step": -1}, {"step": 10**6}, {"step": True}, {"portion": 1.5}, {"first_step": 9}, {"began": 7}, {"epochs": 3},
    {"history": ["loss"]}, {"history": ["val_loss", "learning_rate", "other"]}, {"options": {"x": [1]}},
    {"options": 3}, {"is_warned": 1}, {"waiting": {}}, {"waiting": [{"has_parameters": True}]}, {"numbers": {}},
    {"end": ["completed"]}, {"end": [1, 2, 3]}, {"epochs": 10**12},
]  # fmt: skip


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """The bytes of a checkpoint in the second epoch."""
    path = tmp_path_factory.mktemp("unfinished") / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "MOST_CHUNK_STEPS", CHUNK)
        cut_off(path, STEPS + 1, EarlyStopping())
    return path.read_bytes()


@pytest.mark.parametrize("change", OUT_OF_RANGE, ids=str)
def test_a_damaged_place_is_refused(path, unfinished, change):
    path.write_bytes(unfinished)
    with_header(path, lambda header: header["training"]["course"].update(change))
    with pytest.raises(ModelFileError, match=r"does not hold a whole model|header"):
        fastgd.load(path)


def one_more_stop(course):
    course["waiting"].append({**course["waiting"][0], "has_parameters": False})


def fewer_epochs(course):
    course["options"]["epochs"] = 1


@pytest.mark.parametrize(("change", "epochs"), [(one_more_stop, 4), (fewer_epochs, 1)])
def test_a_place_that_contradicts_its_options_is_refused(path, unfinished, change, epochs):
    path.write_bytes(unfinished)
    with_header(path, lambda header: change(header["training"]["course"]))
    with pytest.raises(InvalidInputError, match="whose place contradicts its options"):
        resume(path, EarlyStopping(), epochs=epochs)


@pytest.mark.parametrize("number", ["loss", "weight", "rate", "seconds", "nothing"])
def test_numbers_of_a_place_are_finite(path, unfinished, number):
    path.write_bytes(unfinished)
    with_header(path, lambda header: header["training"]["course"]["numbers"].update({number: "nan"}))
    message = "fastgd does not write such training" if number == "nothing" else "out of range"
    with pytest.raises(ModelFileError, match=message):
        fastgd.load(path)


class Fills(Callback):
    """Lets the disk be full in the second and in the third epoch."""

    def __init__(self, monkeypatch):
        self.monkeypatch, self.write, self.contents = monkeypatch, disk.write_whole, []

    def on_epoch_begin(self, epoch, logs=None):
        def full(path, content):
            raise ModelFileError(f"{path} cannot be written: no space left on device.")

        self.monkeypatch.setattr(disk, "write_whole", full if epoch in (1, 2) else self.write)

    def on_epoch_end(self, epoch, logs=None):
        self.contents.append(self.path.read_bytes())


def test_a_full_disk_is_told_once_and_tried_again(path, monkeypatch):
    fills = Fills(monkeypatch)
    fills.path = path
    with pytest.warns(CheckpointWarning, match="no space left.*The training goes on, and tries again") as told:
        whole = train(fills, Checkpoint(path, seconds=0))
    assert len(told) == 1
    assert fills.contents[0] == fills.contents[1] == fills.contents[2] != fills.contents[3]
    assert differences(whole, resume(path)) == []

    class Full(Checkpoint):
        def on_train_end(self, logs=None):
            fills.on_epoch_begin(1)

    fills.on_epoch_begin(0)
    with pytest.warns(CheckpointWarning, match="The model is trained, but the file does not have it"):
        train(Full(path))


def test_it_is_written_when_its_seconds_have_passed(path, monkeypatch):
    now, written = [0.0], []

    class Counts(Checkpoint):
        def save(self, is_over):
            super().save(is_over)
            written.append((now[0], is_over))

    def tick():
        now[0] += 1
        return now[0]

    monkeypatch.setattr(time, "monotonic", tick)
    train(Counts(path, seconds=4))
    assert len(written) == 4
    assert [over for _, over in written] == [False, False, False, True]
    assert np.diff([seconds for seconds, _ in written[:-1]]).min() >= 4


class Presses(Callback):
    """Ctrl-C after the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_ctrl_c_leaves_the_file_and_the_same_line_goes_on(path):
    model, history = train(Presses(), Checkpoint(path, seconds=0))
    assert history.stop_reason == "interrupted in epoch 3"
    again = resume(path, model=model)
    assert again[1].resumed == "resumed in epoch 2 of 4, as m.safetensors has it"
    assert differences(train(), again) == []


def test_a_slip_after_ctrl_c_does_not_keep_the_same_line_from_going_on(path):
    model, _ = train(Presses(), Checkpoint(path, seconds=0))
    with pytest.raises(InvalidInputError, match="batch_size 16, and this one has 61"):
        resume(path, model=model, batch_size=61)
    assert differences(train(), resume(path, model=model)) == []


@pytest.mark.parametrize("buffer_rows", [32, 48, 1000])
def test_a_stream_goes_on_behind_the_rows_that_were_taken(path, tmp_path, buffer_rows):
    for name, table in zip(("X.npy", "y.npy"), houses(), strict=True):
        np.save(tmp_path / name, table)

    def stream():
        return (fastgd.Stream(tmp_path / "X.npy", tmp_path / "y.npy", buffer_rows=buffer_rows),)

    whole = train(rows=stream())
    for times in (2, 4, 1):
        cut_off(path, times, rows=stream())
    assert differences(whole, resume(path, rows=stream())) == []
    if buffer_rows == 32:
        cut_off(path.with_name("other"), 2, rows=stream())
        with pytest.raises(InvalidInputError, match="buffer_rows 32, and this one has 64"):
            resume(path.with_name("other"), rows=stream(), buffer_rows=64)


def test_a_stream_to_validate_with_is_told_by_its_first_rows(path, tmp_path):
    """Not by what is known of it, which is more once it was read."""
    held_out = tmp_path / "held_out.csv"

    def write(first):
        rows = "".join(f"{first + n},2,{n % 5},3,{n}\n" for n in range(3000))
        held_out.write_text(f"a,b,c,d,y\n{rows}")

    write(1)
    stream = fastgd.Stream(held_out, target="y")
    cut_off(path, STEPS + 1, validation_data=stream)
    assert resume(path, validation_data=stream, epochs=4)[1].resumed.startswith("resumed in epoch 2")
    write(2)
    with pytest.raises(InvalidInputError, match="validated with other rows"):
        resume(path, validation_data=fastgd.Stream(held_out, target="y"))


def test_rows_that_need_not_come_again_are_kept_but_not_gone_on_with(path):
    def batches():
        X, y = houses()
        yield from ((X[k : k + 24], y[k : k + 24]) for k in range(0, len(X), 24))

    options = {"buffer_rows": 32, "optimizer": fastgd.Adam(0.01)}
    train(Checkpoint(path), rows=(batches,), **options)
    assert fastgd.load(path).predict(houses()[0]).shape == (16 * STEPS,)
    train(Checkpoint(path), rows=(batches(),), **{**options, "epochs": 1})
    for rows, more in (((batches,), {}), (None, {"validation_data": fastgd.Stream(batches), "buffer_rows": None})):
        with pytest.raises(
            InvalidInputError, match=r"needs rows that come again as they came, but .* code of your own"
        ):
            resume(path, rows=rows, **{**options, **more, "validation_data": more.get("validation_data", None)})


def test_rank_0_keeps_checkpoints_for_all(path):
    def work(comm, **options):
        X, y = houses()
        model = fastgd.MLP([4, 6, 1], random_state=3)
        own = slice(comm.rank, None, comm.size)
        kept = [Checkpoint(path, seconds=0, **options)] if comm.rank == 0 else []
        model.fit(X[own], y[own], epochs=2, batch_size=16, callbacks=kept, verbose=0, comm=comm)
        return model

    models = returned(2, work)
    assert (fastgd.load(path).parameters == models[1].parameters).all()
    for error in together(2, lambda comm: work(comm, resume=True)):
        assert "does not go with comm" in str(error)
        assert isinstance(error, InvalidInputError)


def test_a_model_that_had_learned_before_goes_on(path):
    def learned():
        return train(epochs=1, optimizer=fastgd.Adam(SCHEDULES.Cosine(0.05, steps=30)))[0]

    options = {"optimizer": fastgd.Adam(SCHEDULES.Cosine(0.05, steps=30))}
    whole = train(model=learned(), **options)
    cut_off(path, 5, model=learned(), **options)
    assert differences(whole, resume(path, model=learned(), **options)) == []
