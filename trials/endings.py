"""Programs that end, or are interrupted, while threads train; and trainings in odd places of a program.

Each is a program of its own: it must end in time, by no signal but the one that it was sent, and with the bits of a
training alone where it has trained to the end.
"""

from __future__ import annotations

import os
import signal
import time
from typing import IO, NamedTuple

import numpy as np

from .apart import exit_of
from .side_jobs import pick
from .trial import Outcome, Trial

SECONDS = 120.0  # that a program may take, on a busy machine
BEGINNING = """
import asyncio, atexit, os, signal, sys, threading, time, warnings
import numpy as np
import fastgd
X = np.random.default_rng({seed}).normal(size=(1000, 4))
y = X @ [1.0, -2.0, 0.5, 3.0]
def learn(epochs=3, model=None, **options):
    model = model or fastgd.MLP([4, 64, 64, 1], random_state={seed})
    model.fit(X, y, epochs=epochs, batch_size={batch_size}, verbose=0, **{{"n_threads": {n_threads}}} | options)
    return model.parameters.tobytes().hex()[:64]
class Begun(fastgd.callbacks.Callback):
    event = threading.Event()
    def on_epoch_end(self, epoch, logs=None):
        self.event.set()
def for_ever():
    learn(1_000_000, callbacks=[Begun()])
alone = learn()
"""


class Kind(NamedTuple):
    """A program, and how it may end."""

    name: str
    program: str
    codes: tuple[int, ...] = (0,)
    says: str = "alike"  # its last line
    is_interrupted: bool = False  # whether it is sent Ctrl-C, once it has said "ready"


KINDS = (
    Kind(
        "exit while daemons train",
        "for _ in range({n}): threading.Thread(target=for_ever, daemon=True).start()\n"
        "Begun.event.wait(); time.sleep({delay}); print('alike')",
    ),
    Kind(
        "exit by an error while daemons train",
        "threading.Thread(target=for_ever, daemon=True).start()\n"
        "Begun.event.wait(); time.sleep({delay}); print('alike'); sys.exit(3)",
        codes=(3,),
    ),
    Kind(
        "exit while others are about to train",
        "for _ in range({n}): threading.Thread(target=for_ever, daemon=True).start()\n"
        "time.sleep({delay}); print('alike')",
    ),
    Kind(
        "exit while daemons train and predict",
        "model = fastgd.MLP([4, 64, 64, 1])\n"
        "def look():\n    while True: model.predict(X)\n"
        "threading.Thread(target=learn, args=[1_000_000, model], daemon=True).start()\n"
        "for _ in range({n}): threading.Thread(target=look, daemon=True).start()\n"
        "time.sleep({delay}); print('alike')",
    ),
    Kind(
        "exit while fit_many trains in a daemon",
        "def many():\n"
        "    specs = [dict(layer_sizes=[4, 32, 1], random_state=k) for k in range(4)]\n"
        "    fastgd.fit_many(specs, X, y, epochs=1_000_000, n_threads=2, verbose=0)\n"
        "threading.Thread(target=many, daemon=True).start()\ntime.sleep({delay}); print('alike')",
    ),
    Kind("fit at exit", "atexit.register(lambda: print('alike' if learn() == alone else 'other bits'))"),
    Kind(
        "fit at exit beside daemons",
        "atexit.register(lambda: print('alike' if learn() == alone else 'other bits'))\n"
        "threading.Thread(target=for_ever, daemon=True).start(); Begun.event.wait()",
    ),
    Kind(
        "fit in a destructor",
        "class Dies:\n"
        "    def __del__(self): print('alike' if learn() == alone else 'other bits', flush=True)\n"
        "one = Dies()\ndel one",
    ),
    Kind(
        "fit in a destructor at exit",
        "class Dies:\n    def __del__(self, learn=learn): learn()\n"  # Python itself may refuse: it imports no more
        "one = Dies()\nprint('alike')",
    ),
    Kind(
        "fits of asyncio",
        "async def main():\n"
        "    found = await asyncio.gather(*(asyncio.to_thread(learn) for _ in range({n})))\n"
        "    print('alike' if set(found) == {{alone}} else found)\n"
        "asyncio.run(main())",
    ),
    Kind(
        "a fit of asyncio that nobody waits for",
        "async def main():\n"
        "    try: await asyncio.wait_for(asyncio.to_thread(learn, 200), 0.001)\n"
        "    except asyncio.TimeoutError: print('alike')\n"
        "asyncio.run(main())",
    ),
    Kind(
        "a signal to another thread than the one that trains",
        "heard = []\nsignal.signal(signal.SIGUSR1, lambda *_: heard.append(threading.current_thread().name))\n"
        "found = []\nthread = threading.Thread(target=lambda: found.append(learn(30)))\nthread.start()\n"
        "while thread.is_alive(): signal.pthread_kill(thread.ident, signal.SIGUSR1); time.sleep(0.002)\n"
        "print('alike' if found == [learn(30)] and set(heard) <= {{'MainThread'}} else (found, heard))",
    ),
    Kind(
        "signals with a handler while the main thread trains",
        "signal.signal(signal.SIGALRM, lambda *_: None)\nexpected = learn(30)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\nfound = learn(30)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\nprint('alike' if found == expected else 'other bits')",
    ),
    Kind(
        "Ctrl-C while another thread trains",
        "thread = threading.Thread(target=for_ever, daemon=True)\nthread.start(); Begun.event.wait()\n"
        "try:\n    print('ready', flush=True)\n    time.sleep(100)\n"
        "except KeyboardInterrupt:\n    print('alike' if thread.is_alive() else 'the thread has ended')",
        is_interrupted=True,
    ),
    Kind(
        "Numba refuses a variable",
        "",
        codes=(1,),
        says="fastgd.errors.InvalidInputError: NUMBA_NUM_THREADS is {}: set it to 1 or more, or take it away.",
    ),
    Kind(
        "variables that limit threads are nonsense from the start",
        "print('alike' if learn(n_threads='auto') == alone else 'other bits')",
    ),
)
NONSENSE = ("1", "", "abc", "2,4")
REFUSED = ("0", "-1")


def program_of(kind: Kind, generator: np.random.Generator) -> str:
    """The program with its numbers."""
    numbers = {
        "seed": int(generator.integers(1000)),
        "batch_size": int(pick(generator, (32, 256, 1000))),
        "n_threads": int(pick(generator, (1, 2, 4))),
        "n": int(pick(generator, (1, 2, 4))),
        "delay": round(float(generator.uniform(0.0, 0.2)), 4),
    }
    return (BEGINNING + kind.program).format(**numbers)


def press(output: IO[str], number: int, delay: float) -> None:
    """Send Ctrl-C to a program some time after it has said that it is ready."""
    for line in output:
        if line.strip() == "ready":
            break
    time.sleep(delay)
    os.kill(number, signal.SIGINT)


def case(seed: int, number: int) -> str:
    """One case; the kinds take turns."""
    generator = np.random.default_rng([seed, number])
    kind = KINDS[number % len(KINDS)]
    program, delay = program_of(kind, generator), float(generator.uniform(0.0, 0.1))
    environment = {}
    if "refuses" in kind.name:
        environment = {"NUMBA_NUM_THREADS": pick(generator, REFUSED)}
    elif "variables" in kind.name:
        environment = {pick(generator, ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")): pick(generator, NONSENSE)}
    act = (lambda output, process: press(output, process, delay)) if kind.is_interrupted else None
    code, text = exit_of(program, SECONDS, environment, act)
    last = (text.splitlines() or [""])[-1]
    if code is None:
        return f"{kind.name}: it was not over after {SECONDS:.0f} s"
    if code not in kind.codes:
        return f"{kind.name}: exit code {code}, {last}"
    says = kind.says.format(*environment.values())
    return "" if says in text.splitlines() else f"{kind.name}: it said {last!r}"


def run(cases: int, seed: int) -> Outcome:
    """All cases, each a program."""
    found = [(number, case(seed, number)) for number in range(cases)]
    failures = [f"trials.endings {seed} {number}: {sentence}" for number, sentence in found if sentence]
    return Outcome(cases, failures, f"{cases - len(failures):,} programs ended as they should, in time")


TRIALS = (
    Trial(
        "endings",
        "Programs that end, or get signals, while threads train end in time and by no signal; trainings at exit, in "
        "destructors and of asyncio work.",
        "tests/test_shared_use.py::test_endings",
        300,
        run,
    ),
)
