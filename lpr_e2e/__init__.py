"""One Keras model that finds licence plates on photographs and reads them: `from lpr_e2e import PlateReader`.

Its rooms, from the ground up; each imports only what stands before it:

* `common`: boxes, pictures, files, the vocabulary, what decides how a photograph is read;
* `data`: the tables of a data set, matching, the split, the data check;
* `drawing`: plates, cars and photographs that are drawn;
* `model`: the network;
* `prediction`: reading photographs, with Keras, ONNX Runtime or LiteRT;
* `evaluation`: figures of readings, and the report;
* `training`; `export` to other forms; `serving`: a service over HTTP, and any number of photographs; `video`: clips and
  cameras; `experiments`; `annotation`: labels that a person gives on a page;
* `cli` and `commands`: the command `lpr-e2e`.

Importing the package is light: what is used is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lpr_e2e.prediction.reader import PlateReader
    from lpr_e2e.prediction.reading import Reading

__all__ = ["PlateReader", "Reading"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """The classes of `__all__`, when they are first used: they need OpenCV, which a listing of commands does not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = {"PlateReader": "lpr_e2e.prediction.reader", "Reading": "lpr_e2e.prediction.reading"}[name]
    return getattr(importlib.import_module(room), name)
