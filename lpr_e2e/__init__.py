"""Train one Keras model that finds licence plates on photographs and reads them.

Read the modules in this order:

* boxes and texts: `boxes`, `vocabulary`;
* data: `tables`, `picture_files`, `prints`, `matching`, `holdout`, `dataset`;
* drawn data: `glyphs`, `plate_surface`, `plates`, `backdrop`, `cars`, `scenes`;
* model: `looks`, `backbone`, `box_head`, `glimpse`, `decoder`, `model`;
* training: `settings`, `augmentation`, `own_labels`, `batches`, `losses`, `stages`, `evaluation`, `run_folder`,
  `plots`, `tensorboard`, `supervision`, `distribution`, `training`;
* prediction, which training uses too: `format_rule`, `reading`, `prediction`, `prediction_files`, `pictures`,
  `report`, `submission`;
* other forms of the model: `exported`, `export`; any number of photographs: `batch`;
* measurements: `check`, `slices`, `robustness`, `benchmark`, `ablation`.

To read plates, `from lpr_e2e import PlateReader`.
"""

from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading

__all__ = ["PlateReader", "Reading"]

__version__ = "0.1.0"
