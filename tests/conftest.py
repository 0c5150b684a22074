"""Tiny data and tiny settings shared by the tests."""

from __future__ import annotations

import os
import shutil
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import stand_in  # noqa: E402

from lpr_e2e.common.interrupts import REQUESTS  # noqa: E402
from lpr_e2e.common.procedure import TODAY  # noqa: E402
from lpr_e2e.drawing.scenes import write_demo  # noqa: E402
from lpr_e2e.training.settings import PRESETS, Settings  # noqa: E402


def pytest_configure() -> None:
    """Processes that the tests start notice requests to end: what is ignored is inherited.

    A shell's `&` has Ctrl-C ignored, and `nohup` a terminal that is closed.
    """
    for number in REQUESTS:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


# They train, or start many processes, for a minute or two. If one of them came last, one core would wait for the other.
_LONG = ("kills", "training", "without_tensorflow", "saved_model", "export", "requests", "other_country", "ablation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; what only repeats for longer what others test is left out unless it is asked for."""
    if "THOROUGH" not in os.environ:
        for item in items:
            if item.get_closest_marker("thorough"):
                item.add_marker(pytest.mark.skip(reason="takes a minute: set THOROUGH=1"))
    names = [f"test_{name}.py" for name in _LONG]
    items.sort(key=lambda item: names.index(item.path.name) if item.path.name in names else len(names))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A drawn data set of a dozen photographs, in the challenge's layout."""
    folder = tmp_path_factory.mktemp("data")
    write_demo(folder, photographs=14, crops=20, test=2, validation=4, seed=3)
    return folder


@pytest.fixture(scope="session")
def tiny_settings() -> Settings:
    """A model and a training that take seconds."""
    small = PRESETS["small"]
    architecture = replace(
        small.architecture,
        canvas_size=192,
        glimpse_size=(32, 64),
        widths=(8, 8, 16, 16, 16),
        head_width=16,
    )
    return replace(
        small,
        architecture=architecture,
        # After two steps all is in doubt, and looking around takes its time.
        procedure=replace(small.procedure, doubt=0.0, closer_part=0.0),
        recognition=replace(small.recognition, steps=2, plates=8, learning_rate=2e-3, warm_up=2),
        joint=replace(small.joint, steps=2, plates=4, photographs=4, learning_rate=2e-3, warm_up=2),
        mixture=replace(small.mixture, self_labelled=1.0, rearranged=0.5, partly=0.2),
        epoch_steps=1,
        picture_epochs=2,
    )


@pytest.fixture(scope="session")
def seeing_model(tiny_settings):
    """A model that finds something everywhere, and reads something in it."""
    # All that it sees is surely a plate: the closer look, where it is taken, reports only what is read with certainty.
    procedure = replace(TODAY, plates=2, sure_plate=1.0, spared_plates=1000)
    return stand_in.seeing_model(tiny_settings.architecture, procedure, find=10, read=3)


@pytest.fixture(scope="session")
def canvases(seeing_model):
    """Smooth pictures: rounding to whole grey levels then changes little."""
    import tensorflow as tf

    coarse = np.random.default_rng(1).integers(0, 256, (3, 12, 12, 3)).astype("float32")
    sides = (seeing_model.architecture.canvas_size,) * 2
    return tf.image.resize(coarse, sides, "bicubic").numpy().clip(0, 255).astype("uint8")


@pytest.fixture(scope="module")
def eagerly():
    """TensorFlow computes as it goes: tracing the graphs of a training takes far longer than a few of its steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, for pages."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()
