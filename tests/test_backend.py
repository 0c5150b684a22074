"""Settings for other projects, in the user's keras.json and KERAS_BACKEND, break neither reading nor training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lpr_e2e.common.backend import PACKAGES, TRAINING_BACKENDS, require_backend
from lpr_e2e.common.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder for keras.json; what else the environment says to Keras is away."""
    for name in ("KERAS_BACKEND", "KERAS_NNX_ENABLED", "KERAS_MAX_EPOCHS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def settings(home: Path, text: str | dict) -> None:
    (home / "keras.json").write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")


# What Keras takes, and what it passes over.
HARMLESS = (
    {"floatx": "float16"},
    {"floatx": "float64"},
    {"image_data_format": "channels_first"},
    {"epsilon": 0.001},
    {"backend": "tensorflow", "nnx_enabled": True, "a setting": "of the future"},
    "{damaged",
    "",
)
# What Keras refuses when it is imported, and a word of the message.
REFUSED = (
    ({"floatx": "bfloat16"}, "floatx"),
    ({"floatx": ["float32"]}, "floatx"),
    ({"epsilon": 1}, "epsilon"),
    ({"epsilon": "small"}, "epsilon"),
    ({"image_data_format": "channels"}, "image_data_format"),
    ("[1, 2]", "object"),
)


class TestRequired:
    @pytest.mark.parametrize("text", HARMLESS)
    def test_what_keras_takes_is_no_fault(self, home, text):
        settings(home, text)
        assert require_backend() == "tensorflow"

    @pytest.mark.parametrize(("text", "word"), REFUSED)
    def test_what_keras_refuses_names_file_and_value(self, home, text, word):
        settings(home, text)
        with pytest.raises(UserError, match=word) as refused:
            require_backend()
        assert str(home / "keras.json") in str(refused.value) and "\n" not in str(refused.value)

    def test_a_folder_of_that_name(self, home):
        (home / "keras.json").mkdir()
        with pytest.raises(UserError, match=r"keras\.json.*remove"):
            require_backend()

    def test_a_home_that_is_a_file(self, home, monkeypatch):
        (home / "file").touch()
        monkeypatch.setenv("KERAS_HOME", str(home / "file"))
        assert require_backend() == "tensorflow"

    @pytest.mark.parametrize("name", ["tensorflo", "JAX", " jax", "theano"])
    def test_an_unknown_backend_names_the_known_ones(self, home, monkeypatch, name):
        settings(home, {"backend": name})
        with pytest.raises(UserError, match=rf"keras\.json, backend: '{name}'; expected tensorflow, jax, torch"):
            require_backend()
        monkeypatch.setenv("KERAS_BACKEND", name)
        with pytest.raises(UserError, match=f"KERAS_BACKEND: '{name}'"):
            require_backend()

    def test_the_environment_goes_before_the_file(self, home, monkeypatch):
        settings(home, {"backend": "theano"})
        monkeypatch.setenv("KERAS_BACKEND", "jax")
        assert require_backend() == "jax"
        monkeypatch.setenv("KERAS_BACKEND", "")
        with pytest.raises(UserError, match="theano"):
            require_backend()

    def test_training_needs_a_backend_that_differentiates(self, home, monkeypatch):
        monkeypatch.setenv("KERAS_BACKEND", "numpy")
        assert require_backend() == "numpy"
        with pytest.raises(UserError, match="KERAS_BACKEND: 'numpy'; expected tensorflow or jax for training"):
            require_backend(TRAINING_BACKENDS, "training")

    @pytest.mark.parametrize(
        ("missing", "words"),
        [
            ({"tensorflow"}, "tensorflow needs .* not installed: set KERAS_BACKEND=jax, which is installed"),
            (
                {"tensorflow", "jax", "torch", "openvino"},
                r"not installed: pip install '\.\[train\]' in the project's folder",
            ),
            ({"keras"}, r"keras, which is not installed: pip install '\.\[train\]' in the project's folder"),
        ],
    )
    def test_a_backend_that_is_not_installed_names_what_is(self, home, monkeypatch, missing, words):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in missing else name)
        with pytest.raises(UserError, match=words):
            require_backend()

    def test_every_backend_of_keras_is_known(self):
        """Those that Keras's own `backend/__init__.py` chooses from."""
        import keras.src.backend

        source = Path(keras.src.backend.__file__).read_text(encoding="utf-8")
        assert all(f'backend() == "{name}"' in source for name in PACKAGES)
        assert source.count("elif backend() ==") + 1 == len(PACKAGES)


# Prints what decides our sums: the formats, and how a tiny model is made.
TINY = """
import lpr_e2e.model, keras
layer = keras.layers.Conv2D(2, 3)
shape = layer(keras.ops.ones((1, 8, 9, 3))).shape
print(keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon(), layer.dtype_policy.name, shape)
"""


@pytest.mark.parametrize(
    "text",
    [
        {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.001},
        {"floatx": "float64", "nnx_enabled": True, "backend": "jax"},
        "{damaged",
    ],
)
def test_our_format_and_float_type_are_used(home, text):
    settings(home, text)
    done = subprocess.run([sys.executable, "-c", TINY], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.stdout.split(" ", 4) == ["channels_last", "float32", "1e-07", "float32", "(1, 6, 7, 2)\n"], done.stderr


# A program that has a model of another project beside ours, with all that Keras lets it set.
OTHER_PROJECT = """
import sys
import keras, numpy as np
from keras import config

def settings():
    return config.image_data_format(), config.floatx(), config.epsilon(), config.dtype_policy().name

def other():
    config.set_image_data_format("channels_first")
    config.set_floatx("float64")
    config.set_epsilon(0.001)
    config.set_dtype_policy("mixed_float16")

def answers(reader):
    pictures = np.random.default_rng(1).integers(0, 256, (2, 60, 80, 3), "uint8")
    found = [one for one, *_ in reader.read(pictures)]
    return [(one.text, round(one.confidence, 4), np.round(one.box_px, 1).tolist()) for one in found]

from lpr_e2e import PlateReader
mine = settings()
early = PlateReader.load(sys.argv[1])
assert settings() == mine, settings()
expected = answers(early)
late = PlateReader.load(sys.argv[1])  # Read first under other settings.
other()
theirs = settings()
third = PlateReader.load(sys.argv[1])  # Built under other settings.
canvases = np.full((1, *[third.driver.description.canvas_size] * 2, 3), 90, "uint8")
for reader in (early, late, third):
    assert answers(reader) == expected
    assert settings() == theirs, settings()
from lpr_e2e.model.plate_model import load
assert settings() == theirs, settings()
model = load(sys.argv[1])
assert {variable.dtype for variable in model.weights} <= {"float32", "uint32"}
assert model(canvases)["boxes_rel"].shape == (1, model.procedure.plates, 4)
try:
    load("none.keras")
except FileNotFoundError:
    print(settings() == theirs)
"""


def test_a_program_keeps_its_own_settings_and_ours_are_built_right(home, seeing_model):
    seeing_model.save(home / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROJECT, str(home / "model.keras")],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ({}, {"KERAS_BACKEND": "theano"}, "'theano'"),
        ({}, {"KERAS_BACKEND": "numpy"}, "for training"),
        ({"floatx": "bfloat16"}, {}, "floatx"),
    ],
)
def test_a_training_ends_with_one_line(home, tiny_data, text, environment, words):
    settings(home, text)
    command = [sys.executable, "train.py", "--data", str(tiny_data), "--run", str(home / "run")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, env={**os.environ, **environment}
    )
    assert done.returncode == 2 and done.stderr.startswith("train.py: ") and words in done.stderr
    assert done.stderr.count("\n") == 1 and not (home / "run").exists()


def test_reading_with_keras_ends_with_one_line(home, tiny_data):
    settings(home, {"image_data_format": "channels"})
    command = [sys.executable, "-m", "lpr_e2e", "predict", str(tiny_data / "test"), "--output", str(home / "out")]
    command += ["--model", "saved_models/tunisia.keras"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and done.stderr.startswith("lpr-e2e predict: ") and done.stderr.count("\n") == 1


class TestImport:
    """A stand-in for Keras, whose import says what TensorFlow's libraries say, and more."""

    def imported(self, tmp_path, keras: str, before="") -> subprocess.CompletedProcess:
        (tmp_path / "keras.py").write_text(keras)
        code = f"from lpr_e2e.common.backend import import_keras\n{before}\nimport_keras()\nprint('imported')"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)

    SAYS = (
        "import os, sys\n"
        "def say(line): os.write(2, line + b'\\n')\n"
        "say(b'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR')\n"
        "say(b'I0000 00:00:1795957660.993595   16760 port.cc:153] oneDNN custom operations are on.')\n"
        "say(b'E0000 00:00:1795957660.993595   16760 x.cc:1] a fault')\n"
        "print('a warning', file=sys.stderr)\n"
    )

    def test_greetings_are_left_out_and_all_else_is_said(self, tmp_path):
        done = self.imported(tmp_path, self.SAYS)
        fault, warning = done.stderr.splitlines()
        assert done.stdout == "imported\n" and fault.endswith("x.cc:1] a fault") and warning == "a warning"

    def test_nothing_is_lost_of_an_import_that_fails(self, tmp_path):
        done = self.imported(tmp_path, f"{self.SAYS}raise ImportError('no such library')")
        fault, warning, *_, last = done.stderr.splitlines()
        assert done.returncode == 1 and last == "ImportError: no such library"
        assert fault.endswith("x.cc:1] a fault") and warning == "a warning"

    def test_without_stderr(self, tmp_path):
        assert self.imported(tmp_path, "", "import os; os.close(2)").stdout == "imported\n"
