"""The folder that a training run leaves: enough to look at it, to use it, to repeat it and to go on with it.

* `config.json`: settings, data folder, exclusion list, vocabulary; `versions.json`: of everything that matters;
* `split.csv`: every picture that is trained on or held out; `problems.csv`: every fault found in the data;
* `own_labels.csv`, `letters.npz`: what the model itself added to the labels after stage one, and how letters look;
* `history.csv`: the figures of every epoch; `figures.json`: the final ones;
* `best.keras`, `last.keras`: models to predict with (averaged weights);
* `state.npz`: everything that `--resume` needs;
* `tensorboard/`: event files; `lock`: held by the process that trains.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import uuid
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lpr_e2e.common.archives import note_owner, owner_of, refuse_unsound
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import (
    from_cell,
    owned,
    read_file,
    read_json,
    refuse_foreign,
    require_places,
    whole_file,
    write_json,
)
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.dataset import DataSource
from lpr_e2e.data.problems import COLUMNS
from lpr_e2e.data.samples import Dataset
from lpr_e2e.data.tables import write_table
from lpr_e2e.training import history
from lpr_e2e.training.settings import Settings
from lpr_e2e.training.sides import SPLIT_COLUMNS, split, write_split

# What the model itself added to the labels: made once. What a run writes: the versions before all else.
OWN_LABELS, LETTERS, HISTORY, _VERSIONS = "own_labels.csv", "letters.npz", "history.csv", "versions.json"
_FILES = (
    *(_VERSIONS, "split.csv", "problems.csv", OWN_LABELS, LETTERS, HISTORY, "figures.json"),
    *("best.keras", "last.keras", "state.npz", "tensorboard"),
)
# Whose versions are written down, where they are there.
_PACKAGES = (
    *("tensorflow", "jax", "keras", "keras-cv", "numpy", "pandas"),
    *("opencv-python", "opencv-python-headless", "pillow"),
)


class RunError(UserError):
    """A run folder cannot be used; the message says why and what to do."""


class RunFolder:
    """Reads and writes the files of one run.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def refuse_filled(self) -> None:
        """Make sure that a new run overwrites nothing.

        Raises:
            RunError: the folder already holds a run.
            UserError: it holds files of such names that no training wrote, or a file stands in its place.
        """
        if (self.path / "config.json").exists():
            raise RunError(
                f"{self.path}: already holds a run; go on with it by `--resume {self.path}`, or name another with --run"
            )
        require_places([], made=self.path)
        refuse_foreign(self.path, [_VERSIONS] if self._was_begun() else [], _FILES, "--run")

    def _was_begun(self) -> bool:
        """Whether a run was begun here, and killed before it was one. Other programs have a `versions.json`, too."""
        try:
            versions = read_json(self.path / _VERSIONS)
        except (OSError, ValueError):
            return False
        return isinstance(versions, dict) and {"python", "machine", "cores", "backend"} <= versions.keys()

    def start(
        self,
        settings: Settings,
        source: DataSource,
        dataset: Dataset,
        vocabulary: Vocabulary,
        weights: Path | None = None,
    ) -> None:
        """Make the folder and write down what is trained on what, and from which model's weights, if any.

        Raises:
            UserError: see `refuse_filled`.
        """
        self.refuse_filled()
        self.path.mkdir(parents=True, exist_ok=True)
        versions = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        versions["backend"] = keras.backend.backend()
        for package in _PACKAGES:
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
        write_json(self.path / _VERSIONS, versions)
        write_split(self.path / "split.csv", dataset)
        write_table(self.path / "problems.csv", COLUMNS, [one.cells() for one in dataset.problems])
        config = {
            **source.as_config(),
            "characters": vocabulary.characters,
            "slots": vocabulary.slots,
            "settings": settings.as_dict(),
            "weights": None if weights is None else str(weights.resolve()),
            "run": uuid.uuid4().hex,
        }
        # Last, because it makes the folder a run: whoever is killed before this starts anew.
        write_json(self.path / "config.json", config)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep every other process from writing this run, until the end of the context or of this process.

        Raises:
            UserError: another process is training in the folder.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        refusal = f"{self.path}: another process is training in this folder; wait for it, or stop it"
        return owned(self.path / "lock", refusal)

    def config(self) -> dict:
        """What `start` wrote, with `settings` as `Settings`.

        Raises:
            RunError: there is no run in the folder.
        """
        try:
            config = read_json(self.path / "config.json")
            return {**config, "settings": Settings.from_dict(config["settings"])}
        except FileNotFoundError:
            raise RunError(f"{self.path}: no run to resume here (there is no config.json)") from None
        except OSError as error:
            path = self.path / "config.json"
            raise RunError(f"{path}: cannot be read ({error.strerror}); restore it, or start a new run") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            said = f"not the config of a run of this version ({error}); restore it"
            raise RunError(f"{self.path / 'config.json'}: {said}") from error

    def weights_to_take(self) -> Path | None:
        """The model that a run starts from which was interrupted before it had saved anything; else None.

        Raises:
            RunError: the config or the state is damaged.
        """
        weights = self.config().get("weights")  # Runs of before have not noted any.
        return Path(weights) if isinstance(weights, str) and self.progress() is None else None

    def note_source(self, source: DataSource) -> None:
        """Write down where the data of the run are now."""
        write_json(self.path / "config.json", {**read_json(self.path / "config.json"), **source.as_config()})

    def check_split(self, dataset: Dataset) -> None:
        """Make sure that the data is still what the run started with.

        Raises:
            RunError: a picture was added, removed, or changed sides, text or boxes; or a table of the run is damaged.
        """
        before = self._split(SPLIT_COLUMNS[:4])
        self._check_history()  # What is gone on with is looked at before a step is trained.
        # Runs from before boxes were noted have no such column.
        now = split(dataset).reindex(columns=before.columns, fill_value="")
        changed = pd.concat([before, now]).drop_duplicates(keep=False)
        if len(changed):
            raise RunError(
                f"{self.path / 'split.csv'}: the data changed since the run started ({len(changed)} rows differ, the "
                f"first: {','.join(changed.iloc[0])}); restore it, or start a new run, from the weights with --weights"
            )

    def held_out(self) -> frozenset[tuple[str, ...]]:
        """Of `split.csv`, the rows of what is held out, as they are there.

        Raises:
            RunError: the file is damaged.
        """
        rows = self._split(("side",))
        return frozenset(rows[rows["side"] == "held"].itertuples(index=False, name=None))

    def _split(self, columns: Sequence[str]) -> pd.DataFrame:
        """The texts of `split.csv`, which has these columns.

        Raises:
            RunError: it is damaged.
        """
        return self._table("split.csv", columns).apply(lambda column: column.map(from_cell))

    def save_state(self, variables: list, progress: dict) -> None:
        """Write all variables and the progress, at once or not at all."""
        arrays = {f"variable_{index}": np.asarray(variable) for index, variable in enumerate(variables)}
        arrays |= {
            name: np.array(self._checksum(name)) for name in (OWN_LABELS, LETTERS) if (self.path / name).exists()
        }
        arrays[HISTORY] = np.array(history.mark(self._history()))
        with whole_file(self.path / "state.npz") as temporary, open(temporary, "wb") as file:
            np.savez(file, progress=np.array(json.dumps(progress)), run=self._identity(), **arrays)
            file.flush()
            os.fsync(file.fileno())

    def progress(self) -> dict | None:
        """The progress that was last saved, or None at the very start.

        Raises:
            RunError: the file is damaged, or is missing though something was trained: it is saved before anything is.
        """
        trained = [name for name in ("best.keras", "last.keras", HISTORY) if (self.path / name).exists()]
        if trained and not (self.path / "state.npz").exists():
            raise RunError(
                f"{self.path / 'state.npz'}: is missing, and {trained[0]} is there, which a training from the start "
                "would replace; restore it, or start a new run, from the weights with --weights"
            )

        def told(state) -> dict:
            found = json.loads(str(state["progress"]))
            if not isinstance(found, dict):
                raise ValueError(f"its progress is {found!r}")
            return found

        return self._load_state(told)

    def require_best(self) -> None:
        """Make sure that the best model of stage two, which a resumed run ends with, is still there, and is its own.

        Raises:
            RunError: it is not.
        """
        path, wrong = self.path / "best.keras", ""
        try:
            owner = owner_of(path)
            if owner and owner != self._identity().tobytes().hex():  # Those of before do not say it.
                wrong = "is the model of another run"
        except FileNotFoundError:
            wrong = "is missing"
        except (OSError, zipfile.BadZipFile) as error:
            wrong = f"damaged ({error})"
        if wrong:
            raise RunError(
                f"{path}: {wrong}, and the run ends with it; restore it, or start a new run with "
                f"--weights {self.path / 'last.keras'}"
            )

    def check_own_labels(self) -> None:
        """Make sure that what the model itself has labelled is what the run was trained with so far.

        Raises:
            RunError: it is not.
        """

        def compare(state) -> None:
            for name in (OWN_LABELS, LETTERS):
                if name in state.files and str(state[name]) != self._checksum(name):
                    raise RunError(self._exchanged(name))

        self._load_state(compare)

    def _exchanged(self, name: str) -> str:
        return f"{self.path / name}: is not this run's as it was saved; restore it, or start a new run with --weights"

    def _checksum(self, name: str) -> str:
        try:
            return hashlib.sha256(read_file(self.path / name)).hexdigest()
        except OSError:  # Whoever reads it says why.
            return ""

    def load_variables(self, variables: list) -> None:
        """Put the saved values into the variables, which must be the same and in the same order.

        Raises:
            RunError: the file is damaged or belongs to another model.
        """

        def assign(state):
            count = sum(name.startswith("variable_") for name in state.files)
            saved = [state[f"variable_{index}"] for index in range(count)]
            if [value.shape for value in saved] != [tuple(variable.shape) for variable in variables]:
                raise RunError(f"{self.path / 'state.npz'}: belongs to a model or stage of other sizes")
            for variable, value in zip(variables, saved, strict=True):
                variable.assign(value)

        self._load_state(assign)

    def _load_state(self, use):
        if not (path := self.path / "state.npz").exists():
            return None
        try:
            refuse_unsound(path)
            with np.load(path, allow_pickle=False) as state:
                # Those of before did not say whose they are.
                if "run" in state.files and not np.array_equal(state["run"], self._identity()):
                    raise RunError(
                        f"{path}: does not belong to the split.csv and config.json beside it, one of which was changed "
                        "or is of another run; restore it"
                    )
                return use(state)
        except RunError:
            raise
        except Exception as error:  # A damaged zip raises many kinds.
            best = self.path / "best.keras"
            named = f" {best}" if best.exists() else ""
            raise RunError(
                f"{path}: damaged ({error}); restore it, or start a new run with --weights{named}"
            ) from error

    def _identity(self) -> np.ndarray:
        """What tells a run from others, uint8 `(32,)`: what it trains on and holds out, its seed, its characters, and a
        name of its own."""
        digest, config = hashlib.sha256(), {}
        with contextlib.suppress(OSError):
            digest.update(read_file(self.path / "split.csv"))
        with contextlib.suppress(RunError):
            config = self.config()
        seed = config["settings"].seed if config else None
        # Runs of before have no name of their own.
        own = [config["run"]] if "run" in config else []
        digest.update(json.dumps([seed, config.get("characters"), *own]).encode())
        return np.frombuffer(digest.digest(), "uint8")

    def save_model(self, model: keras.Model, name: str) -> None:
        """Write the model as `name`, at once or not at all."""
        with whole_file(self.path / name) as temporary:
            model.save(temporary)
            note_owner(temporary, self._identity().tobytes().hex())

    def add_history(self, row: dict) -> None:
        """Append the figures of one epoch; those of the same epoch, done again after an interruption, replace it.

        Raises:
            RunError: the file is damaged.
        """
        table = history.added(self._history(), row)
        with whole_file(self.path / HISTORY) as temporary:
            table.to_csv(temporary, index=False)

    def _history(self) -> pd.DataFrame:
        """The texts of `history.csv`; no rows if there is none yet.

        Raises:
            RunError: it is damaged.
        """
        if not (self.path / HISTORY).exists():
            return pd.DataFrame(columns=history.EPOCH)
        return self._table(HISTORY, history.EPOCH)

    def _check_history(self) -> None:
        """Make sure that the history is the one that the state goes on with; states of before do not say.

        Raises:
            RunError: it is not, or one of them is damaged.
        """
        table = self._history()

        def compare(state) -> None:
            if HISTORY in state.files and not history.begins_as(table, str(state[HISTORY])):
                raise RunError(self._exchanged(HISTORY))

        self._load_state(compare)

    def write_figures(self, figures: dict) -> None:
        """Write the final figures as `figures.json`."""
        write_json(self.path / "figures.json", figures)

    def _table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """The texts of a table of the run; what is missing in a row that is cut off is empty.

        Raises:
            RunError: it is damaged, or lacks one of the columns.
        """
        path = self.path / name
        try:
            table = pd.read_csv(io.BytesIO(read_file(path)), dtype=str, keep_default_na=False).fillna("")
            missing = [column for column in columns if column not in table.columns]
            if missing:
                raise ValueError(f"no column {missing[0]}")
        except (OSError, ValueError) as error:  # What pandas raises are ValueErrors.
            reason = " ".join(str(error).split())
            raise RunError(f"{path}: damaged ({reason}); restore it, or start a new run with --weights") from None
        return table
