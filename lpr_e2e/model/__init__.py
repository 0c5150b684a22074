"""The one model: backbone, box head, glimpse, decoder.

Importing it makes sure that Keras can run, and sets what the user's `keras.json` may say otherwise for the sake of
another project, see `lpr_e2e.common.backend.use_our_settings`.
"""

from lpr_e2e.common.backend import require_backend, use_our_settings

require_backend()
use_our_settings()
