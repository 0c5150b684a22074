"""Which backend Keras will run on and whether it can, found out without importing Keras.

Keras takes its backend from the environment variable KERAS_BACKEND, else from `keras.json` in the folder KERAS_HOME
(`.keras` in the home folder), where people keep settings of other projects. Of these settings only the backend counts
here: `use_our_settings` sets the others. What Keras itself refuses when it is imported is said in one line before.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.extras import install
from lpr_e2e.common.files import read_json

DEFAULT_BACKEND = "tensorflow"
# The package that each backend needs; Keras's numpy backend computes convolutions with JAX.
PACKAGES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch", "numpy": "jax", "openvino": "openvino"}
# The backends that can differentiate what we train.
TRAINING_BACKENDS = ("tensorflow", "jax")

# What TensorFlow's libraries say when they are loaded: `I0000 00:00:1.2 34 port.cc:153] oneDNN is on.`
_GREETING = re.compile(rb"I0000 .*\] |WARNING: All log messages before absl::InitializeLog\(\)")

_FLOAT_TYPES = ("float16", "float32", "float64")
_FORMATS = ("channels_last", "channels_first")


def require_backend(backends: tuple[str, ...] = tuple(PACKAGES), purpose: str = "this") -> str:
    """The backend that Keras will run on.

    Args:
        backends: those that will do.
        purpose: what needs one of them, for people.

    Raises:
        UserError: another one is chosen, it is not installed, or `keras.json` holds what Keras refuses.
    """
    if importlib.util.find_spec("keras") is None:
        raise UserError(f"{purpose} needs keras, which is not installed: {install('keras')}")
    chosen, source = _chosen()
    if chosen not in backends:
        raise UserError(f"{source}: {chosen!r}; expected {_listed(backends)} for {purpose}: set KERAS_BACKEND so")
    if importlib.util.find_spec(PACKAGES[chosen]) is None:
        others = [one for one in backends if importlib.util.find_spec(PACKAGES[one])]
        remedy = f"set KERAS_BACKEND={others[0]}, which is installed" if others else install(PACKAGES[chosen])
        raise UserError(f"{source}: {chosen} needs the package {PACKAGES[chosen]}, which is not installed: {remedy}")
    # Keras's other way of keeping variables, which keras.json can ask for, and limits meant for somebody's debugging.
    os.environ["KERAS_NNX_ENABLED"] = "false"
    for name in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
        os.environ.pop(name, None)
    return chosen


def import_keras() -> None:
    """Import Keras and its backend without what TensorFlow's libraries say of themselves meanwhile, on stderr.

    Their six lines about instructions and GPUs are no faults, and TF_CPP_MIN_LOG_LEVEL counts only after them. All else
    that is said in these seconds, by whomever, is said at their end.

    Raises:
        ImportError: Keras or its backend cannot be imported.
    """
    if "keras" in sys.modules:
        return
    with _held_back():
        importlib.import_module("keras")


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    try:
        stderr = os.dup(2)
    except OSError:  # It is closed.
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            for line in said:
                if not _GREETING.match(line):
                    os.write(2, line)


def use_our_settings() -> None:
    """Let Keras build and train as ours: pictures `(batch, height, width, channels)`, numbers float32.

    Whatever `keras.json` or the program says for the sake of another model. A model that is built keeps them.
    """
    _set("channels_last", "float32", "float32", 1e-7)


@contextlib.contextmanager
def our_settings() -> Iterator[None]:
    """`use_our_settings`, and at the end the program's own again: it may have models of other projects, too."""
    import keras

    config = keras.config
    before = (config.image_data_format(), config.floatx(), config.dtype_policy(), config.epsilon())
    use_our_settings()
    try:
        yield
    finally:
        _set(*before)


def _set(image_data_format: str, floatx: str, policy: Any, epsilon: float) -> None:
    import keras

    keras.config.set_image_data_format(image_data_format)
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    keras.config.set_epsilon(epsilon)


def _chosen() -> tuple[str, str]:
    """The backend's name and where it is chosen."""
    path = settings_path()
    settings = _settings(path)
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "KERAS_BACKEND"
    if "backend" in settings:
        return str(settings["backend"]), f"{path}, backend"
    return DEFAULT_BACKEND, "Keras's backend"


def settings_path() -> Path:
    """Where Keras looks for its settings."""
    home = os.environ.get("KERAS_HOME")
    if home is None:
        base = os.path.expanduser("~")
        home = os.path.join(base if os.access(base, os.W_OK) else "/tmp", ".keras")
    return Path(os.path.expanduser(os.path.join(home, "keras.json")))


def _settings(path: Path) -> dict:
    """What `keras.json` says; nothing if it is not there, or no JSON, which Keras passes over.

    Raises:
        UserError: Keras could not be imported with it.
    """
    try:
        settings = read_json(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    except OSError as error:
        raise UserError(f"{path}: Keras reads its settings here and cannot ({error.strerror}): remove it") from None
    if not isinstance(settings, dict):
        raise UserError(f"{path}: expected an object of Keras's settings, found {settings!r:.40}: correct or remove it")
    for name, expected, fits in (
        ("floatx", _listed(_FLOAT_TYPES), lambda value: value in _FLOAT_TYPES),
        ("epsilon", "a number such as 1e-07", lambda value: isinstance(value, float)),
        ("image_data_format", _listed(_FORMATS), lambda value: value in _FORMATS),
    ):
        if name in settings and not fits(settings[name]):
            raise UserError(
                f"{path}: {name} is {settings[name]!r:.40}, and Keras expects {expected}: correct or remove it"
            )
    return settings


def _listed(names: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
