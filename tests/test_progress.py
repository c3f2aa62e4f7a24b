"""A training is seen where there is someone to see it, and is not lost where there is nobody."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from samples import houses

import fastgd
from fastgd.callbacks import Callback
from fastgd.training import progress

X = np.arange(80.0).reshape(40, 2)


Y = X @ [2.0, 1.0]


VERBOSE = ["auto", 0, 1, 2]


class Broken(io.StringIO):
    """A stream whose reader has gone, or whose disk is full; what is asked of a terminal is answered as by one."""

    def __init__(self, error, terminal):
        super().__init__()
        self.error, self.terminal = error, terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error


class Bare:
    """The least that has a name in common with a stream."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {
    "none": lambda: None,
    "closed": closed,
    "without a reader": lambda: Broken(BrokenPipeError(32, "Broken pipe"), False),
    "a terminal that is gone": lambda: Broken(OSError(5, "Input/output error"), True),
    "a terminal without a reader": lambda: Broken(BrokenPipeError(32, "Broken pipe"), True),
    "a full disk": lambda: Broken(OSError(28, "No space left on device"), False),
    "detached": lambda: Broken(ValueError("underlying buffer has been detached"), True),
    "anything": lambda: Broken(RuntimeError("no"), True),
    "bare": Bare,
    "no stream": object,
    "ASCII": lambda: io.TextIOWrapper(io.BytesIO(), encoding="ascii"),
}


def trained(verbose, *callbacks):
    model = fastgd.MLP([2, 4, 1])
    history = model.fit(X, Y, epochs=3, optimizer=fastgd.SGD(0.01), callbacks=callbacks, verbose=verbose)
    return model.parameters, history


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("verbose", VERBOSE)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_training_is_not_lost_because_nobody_can_see_it(monkeypatch, stream, verbose, name):
    expected, _ = trained(0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, name, stream())
    parameters, history = trained(verbose)
    assert history.stop_reason == "completed"
    assert (parameters == expected).all()


class InTheThirdEpoch(Callback):
    """Presses Ctrl-C."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("verbose", VERBOSE)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_ctrl_c_is_heard_where_nobody_can_see_it(monkeypatch, stream, verbose):
    monkeypatch.setattr(sys, "stdout", stream())
    assert trained(verbose, InTheThirdEpoch())[1].stop_reason == "interrupted in epoch 3"


@pytest.mark.parametrize("verbose", VERBOSE)
def test_a_stream_that_breaks_in_the_middle(monkeypatch, verbose):
    stream = Broken(OSError(28, "No space left on device"), True)
    written = []

    def write(text):
        written.append(text)
        if len(written) > 1:
            raise stream.error

    monkeypatch.setattr(stream, "write", write)
    monkeypatch.setattr(stream, "flush", lambda: None)
    monkeypatch.setattr(sys, "stdout", stream)
    assert trained(verbose)[1].stop_reason == "completed"
    assert bool(written) == (verbose != 0), "what could be written was"


def test_what_a_stream_lacks_becomes_a_question_mark():
    content = io.BytesIO()
    output = progress.Output(io.TextIOWrapper(content, encoding="ascii"))
    output.write("R² of m²\n")
    output.flush()
    assert content.getvalue() == b"R? of m?\n"


def test_lines_are_seen_where_they_can_be_written(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Bare())
    trained("auto")
    lines = [line for line in sys.stdout.text.splitlines() if line.startswith("epoch")]
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]


@pytest.mark.parametrize("verbose", ["auto", 1])
def test_a_bar_around_several_trainings_stays_alone(monkeypatch, verbose):
    from rich.console import Console
    from rich.progress import Progress

    outer = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Progress(console=outer):
        assert isinstance(progress.display(verbose), progress.Lines)
        trained(verbose)
    assert "epoch 3/3  loss" in outer.file.getvalue()
    assert isinstance(progress.display(1), progress.Bar)


def test_any_number_of_epochs_can_be_shown(capsys):
    for shown in (progress.Lines(), progress.Bar()):
        shown.begin(10**400, 40)
        shown.epoch_end(0, {"loss": 1.0})
        shown.advance(0, 40, 1.0)
        shown.end(None)
    assert f"epoch {1:>401}/1{'0' * 400}  loss 1.000" in capsys.readouterr().out


@pytest.mark.parametrize("verbose", VERBOSE)
def test_a_program_without_streams(verbose):
    code = (
        "import sys; assert sys.stdout is None\n"
        "import numpy as np, fastgd\n"
        "X = np.arange(80.0).reshape(40, 2)\n"
        f"history = fastgd.MLP([2, 4, 1]).fit(X, X[:, 0], epochs=2, verbose={verbose!r})\n"
        "sys.exit(history.epochs)\n"
    )
    result = subprocess.run(["sh", "-c", '"$@" >&- 2>&- <&-', "sh", sys.executable, "-c", code])
    assert result.returncode == 2


@pytest.mark.tiny
def test_plain_lines(capsys):
    X, y = houses(64)
    fastgd.MLP([4, 2, 1]).fit(X, y, epochs=25)
    lines = capsys.readouterr().out.splitlines()
    lines = [line for line in lines if not line.startswith("compiling")]
    assert len(lines) <= 11
    assert re.fullmatch(r"epoch  1/25  loss \S+  [\d,]+ rows/s", lines[0])
    assert lines[-1].startswith("epoch 25/25  loss ")
    fastgd.MLP([4, 2, 1]).fit(X, y, epochs=25, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 25
    fastgd.MLP([4, 2, 1]).fit(X, y, epochs=25, verbose=0)
    assert capsys.readouterr().out == ""
