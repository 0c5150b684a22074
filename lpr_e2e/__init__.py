"""Train one Keras model that finds licence plates on photographs and reads them.

Read the modules in this order: `dataset`, `matching`, `plates`, `scenes`, `augmentation`, `batches` (data);
`backbone`, `box_head`, `glimpse`, `decoder`, `model` (model); `losses`, `training`, `evaluation`,
`tensorboard` (training); `prediction`, `submission` (prediction).
"""

__version__ = "0.1.0"
