"""What a model is besides its two networks: `model.json` of an exported one, the configuration of a `.keras` file."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import read_file
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.promise import Promise
from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import Vocabulary

FILE = "model.json"
_SIZES = ("canvas_size", "scene_shrink", "glimpse_size")
# Where it has the checksum of all else that stands in it. Those from before it have none.
_CHECKSUM = "checksum"
# What else it has: the fingerprint of the model, and the checksums of the files beside it.
_BESIDES = ("model", "files", _CHECKSUM)
# A larger description than any model has; and a larger temperature, or number of slots.
_MOST_BYTES, _LARGEST = 16 * 2**20, 100_000


@dataclass(frozen=True)
class Description:
    """Sizes, vocabulary, temperature, procedure, promise and texts of a model.

    Attributes:
        characters, slots: see `lpr_e2e.common.vocabulary.Vocabulary`.
        canvas_size, scene_shrink, glimpse_size: see `lpr_e2e.common.architecture.Architecture`.
        grid_size: rows and columns of the decoder's attention.
        temperature: divides the logits.
        procedure: how photographs are read with it.
        promise: how often its readings are right that are `ok`.
        forms: of the texts it was trained on, see `lpr_e2e.common.text_forms.TextForms.examples`.
    """

    characters: str
    slots: int
    canvas_size: int
    scene_shrink: int
    glimpse_size: tuple[int, int]
    grid_size: tuple[int, int]
    temperature: float
    procedure: Procedure
    promise: Promise = Promise()
    forms: tuple[str, ...] = ()

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary."""
        return Vocabulary(self.characters, self.slots)

    @functools.cached_property
    def text_forms(self) -> TextForms:
        """The forms of texts."""
        return TextForms.from_config(self.forms, self.vocabulary)

    @property
    def scene_size(self) -> int:
        """Side of the square scene in which plates are looked for, pixels."""
        return self.canvas_size // self.scene_shrink

    def as_json(self) -> dict:
        """Plain values for `model.json`."""
        return {**asdict(self), "procedure": self.procedure.as_config(), "promise": self.promise.as_config()}

    @classmethod
    def from_json(cls, values: Mapping) -> Description:
        """The description of `as_json`, or of a model that was exported before procedures were stored.

        Raises:
            UserError: a value is missing or is not what it should be, or a name is unknown: it may be a known one that
                was damaged, and of some that are missing the values of earlier models would be taken.
        """
        before = () if "procedure" in values else [one.name for one in fields(Procedure)]
        if unknown := sorted(set(values).difference(_BESIDES, before, [one.name for one in fields(cls)])):
            raise UserError(f"unknown {', '.join(unknown):.200}")
        try:
            characters = _checked("characters", values["characters"], str)
            slots = _checked("slots", values["slots"], int)
            # Larger ones than anybody trains are a mistake in the file, and would fill the memory.
            sizes = Architecture.from_config({name: values[name] for name in _SIZES})
            grid_size = _pair("grid_size", values["grid_size"])
            if any(cells > side for cells, side in zip(grid_size, sizes.glimpse_size, strict=True)):
                raise UserError(f"grid_size {grid_size}: expected at most glimpse_size {sizes.glimpse_size}")
            return cls(
                characters=characters,
                slots=slots,
                canvas_size=sizes.canvas_size,
                scene_shrink=sizes.scene_shrink,
                glimpse_size=sizes.glimpse_size,
                grid_size=grid_size,
                temperature=_checked("temperature", values["temperature"], float),
                procedure=Procedure.from_config(values.get("procedure"), values),
                promise=Promise.from_config(values.get("promise")),
                forms=TextForms.from_config(values.get("forms"), Vocabulary(characters, slots)).examples,
            )
        except KeyError as error:
            raise UserError(f"no {error}") from None

    @classmethod
    def load(cls, folder: Path) -> Description:
        """The description of an exported model.

        Raises:
            FileNotFoundError: the folder holds no exported model.
            UserError: its `model.json` is damaged, or was written by a later version.
            OSError: it cannot be read.
        """
        path = folder / FILE
        remedy = "export the model anew with `python -m lpr_e2e export`"
        try:
            values = json.loads(read_file(path, _MOST_BYTES).decode())
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{folder}: no exported model (there is no {FILE}); write one with `python -m lpr_e2e export`"
            ) from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: damaged ({error}); {remedy}") from None
        if not isinstance(values, dict):
            raise UserError(f"{path}: expected an object of JSON, found {type(values).__name__}; {remedy}")
        if _CHECKSUM in values and values != with_checksum(values):
            raise UserError(f"{path}: damaged, or changed after it was exported; {remedy}")
        try:
            return cls.from_json(values)
        except UserError as error:
            raise UserError(f"{path}: {error}; {remedy}") from None


def with_checksum(values: Mapping) -> dict:
    """Values for `model.json` with a checksum of all of them, by which `Description.load` knows them again."""
    import hashlib  # Late: models from before checksums need none.

    kept = {name: value for name, value in values.items() if name != _CHECKSUM}
    return kept | {_CHECKSUM: hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()}


def _checked(name: str, value, kind: type):
    """The value, if it is of this kind and, for a number, above 0 and not larger than any model's."""
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is str:
        right = isinstance(value, str)
    else:
        right = numeric and (kind is float or isinstance(value, int)) and 0 < value <= _LARGEST
    if not right:
        expected = "a text" if kind is str else f"a number above 0 and at most {_LARGEST}"
        raise UserError(f"{name} {value!r:.60}: expected {expected}")
    return kind(value)


def _pair(name: str, values) -> tuple[int, int]:
    if not isinstance(values, (list, tuple)) or len(values) != 2:
        raise UserError(f"{name} {values!r:.60}: expected two numbers")
    return _checked(name, values[0], int), _checked(name, values[1], int)
