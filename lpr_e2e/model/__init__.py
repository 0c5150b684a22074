"""The one model: backbone, box head, glimpse, decoder.

Importing it makes sure that Keras can run, and sets what the user's `keras.json` may say otherwise for the sake of
another project: pictures are `(batch, height, width, channels)` and numbers float32.
"""

from lpr_e2e.common.backend import require_backend

require_backend()

import keras  # noqa: E402

keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")
keras.config.set_dtype_policy("float32")
keras.config.set_epsilon(1e-7)
