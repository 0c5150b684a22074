"""The shared backbone: one set of convolutions that looks twice, at the small scene and at the plate's glimpse."""

from __future__ import annotations

import keras
from keras import layers

# Strides of the stages behind the stem, in input pixels per cell.
STRIDES = (4, 8, 16, 32)


class Backbone:
    """A plain residual network whose convolutions are shared between its views.

    Scenes and glimpses have different statistics, so each view has batch normalisations of its own; everything
    that is learned by gradient, except their scales and shifts, is shared. Plain 3x3 convolutions are the fastest
    per multiplication on a processor, and batch normalisation folds into them on export.

    Args:
        widths: channels of the stem and of the four stages.
        depths: residual blocks in each of the four stages.
    """

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]):
        if len(widths) != 5 or len(depths) != 4:
            raise ValueError(f"widths {widths}, depths {depths}: expected five widths (stem, stages) and four depths")
        self.widths = tuple(widths)
        self.depths = tuple(depths)
        self._convolutions: dict[str, layers.Conv2D] = {}

    def _convolve(self, x, view: str, name: str, channels: int, kernel: int = 3, stride: int = 1):
        """Shared convolution, then the view's own normalisation."""
        if name not in self._convolutions:
            self._convolutions[name] = layers.Conv2D(
                channels, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
            )
        x = self._convolutions[name](x)
        return layers.BatchNormalization(momentum=0.98, name=f"{view}_{name}_normalisation")(x)

    def _block(self, x, view: str, name: str, channels: int):
        residual = layers.ReLU()(self._convolve(x, view, f"{name}_first", channels))
        residual = self._convolve(residual, view, f"{name}_second", channels)
        return layers.ReLU()(layers.Add()([x, residual]))

    def features(self, x, view: str, stages: int) -> list:
        """The feature maps of a picture.

        Args:
            x: float Keras tensor `(batch, height, width, 3)`, about zero mean and unit variance.
            view: name of the view; each has its own normalisations.
            stages: how many stages to run, 1 to 4.

        Returns:
            One Keras tensor `(batch, height / stride, width / stride, widths[i + 1])` per stage, for `STRIDES`.
        """
        x = layers.ReLU()(self._convolve(x, view, "stem", self.widths[0], stride=2))
        maps = []
        for stage in range(stages):
            channels = self.widths[stage + 1]
            x = layers.ReLU()(self._convolve(x, view, f"stage{stage + 1}_down", channels, stride=2))
            for block in range(self.depths[stage]):
                x = self._block(x, view, f"stage{stage + 1}_block{block + 1}", channels)
            maps.append(x)
        return maps


def convolution_block(x, name: str, channels: int, kernel: int = 3) -> keras.KerasTensor:
    """Convolution, batch normalisation, ReLU, for the necks: `(batch, h, w, c)` to `(batch, h, w, channels)`."""
    x = layers.Conv2D(channels, kernel, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.98, name=f"{name}_normalisation")(x))
