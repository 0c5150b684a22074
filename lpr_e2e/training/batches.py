"""Training batches: real crops, synthetic plates and photographs of one data set or of several, augmented and mixed.

Each sample of a batch is a function of the data, the seed, the batch's step and the sample's place in it alone. So
batches can be made in parallel and in any order, a resumed training sees exactly the batches that an uninterrupted one
would have seen, and several processes that share the batches make together what one would make.

The processes that make batches (`loader`) import this module: neither Keras nor its backend belongs here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from lpr_e2e.training.set_samples import JOINT, PLATES, RECOGNITION, SetSamples, kept_plate


def share(places: range, part: int, parts: int) -> range:
    """One of so many nearly equal parts of the places in a batch, in their order."""
    return places[part * len(places) // parts : (part + 1) * len(places) // parts]


class BatchMaker:
    """Makes the training batches of both stages. Several data sets take turns, so that each has an equal share of
    every batch, as nearly as can be, however many pictures it has.

    Args:
        sets: what makes the samples of each data set, by its name; of one model, and of one seed.
        parts: makes only a part of each batch: of each pair `(part, parts)`, this one of so many nearly equal parts of
            what the pair before leaves.

    Attributes:
        shown: how many of the plates and photographs in the batches made so far came from each source.
    """

    def __init__(self, sets: Mapping[str, SetSamples], parts: Sequence[tuple[int, int]] = ()):
        self.sets, self.parts = dict(sets), parts
        self._in_turn = list(self.sets.values())
        self._any = self._in_turn[0]
        self.shown: Counter[str] = Counter()

    @property
    def undrawable(self) -> frozenset[str]:
        """The characters that no font has, so that only real plates show them."""
        return frozenset(one for of_set in self._in_turn for one in of_set.painter.undrawable)

    def _share(self, count: int) -> range:
        """The places of this part in `count` places of a batch."""
        places = range(count)
        for part, parts in self.parts:
            places = share(places, part, parts)
        return places

    def plates(self, stream: int, step: int, count: int) -> dict[str, np.ndarray]:
        """This part's share of `count` glimpses of a random stream's step.

        Returns:
            `glimpses` uint8 `(n, height, width, 3)`; of their texts `glimpse_classes` int32 `(n, slots)`; and
            `glimpse_places` float32 `(n, slots, 4)`: where each character stands, yxyx in shares of the glimpse, an
            empty box where that is not known, or outside.
        """
        places = self._share(count)
        slots = self._any.vocabulary.slots
        made = {
            "glimpses": np.empty((len(places), *self._any.architecture.glimpse_size, 3), "uint8"),
            "glimpse_classes": np.empty((len(places), slots), "int32"),
            "glimpse_places": np.empty((len(places), slots, 4), "float32"),
        }
        for index, place in enumerate(places):
            rng = np.random.default_rng([self._any.seed, stream, step, place])
            # The places that are left over go round; but a plate that is seen several times stays one of its set.
            turn = place if place < count - count % len(self._in_turn) else place + kept_plate(step, place)
            of_set = self._in_turn[turn % len(self._in_turn)]
            plate, source = of_set.plate(stream, step, place, rng)
            for name, values in plate.items():
                made[name][index] = values
            self.shown[source] += 1
        return made

    def recognition_batch(self, step: int, plates: int) -> dict[str, np.ndarray]:
        """The batch of one step of stage one, see `plates`."""
        return self.plates(RECOGNITION, step, plates)

    def joint_batch(self, step: int, photographs: int, plates: int, predicted_share: float) -> dict[str, np.ndarray]:
        """The batch of one step of stage two.

        Args:
            step: number of the step, from 0.
            photographs, plates: how many of each; every photograph is seen once before any is seen again, and each time
                another one of its plates is read.
            predicted_share: share of the photographs that are read in the predicted box instead of a jittered true
                one.

        Returns:
            what `plates` gives, and for each photograph its `canvases` uint8
            `(batch, size, size, 3)`; float32 of 0 or 1 `(batch,)`, `complete`: whether no further plate is on it; and
            `written_rel` float32 `(batch, any, 4)`: rel yxyx of writing that is none, empty boxes if there is less.
            Of its P plates at most, the one that is read first: `boxes_rel` float32 `(batch, P, 4)` rel yxyx; `turns`
            int32; `tilts` float32, radians; and the masks, float32 of 0 or 1 `(batch, P)`: `plate_visible` (there is
            such a plate, and all of it can be seen), `plate_cut` (a part can), `turns_known`, `tilts_known`. Of the
            plate that is read: `classes` int32 `(batch, slots)`, `text_known`, `jittered_boxes_rel`, `jittered_tilts`,
            `use_predicted`. A part without photographs has glimpses alone.
        """
        samples = []
        for place in self._share(photographs):
            number, of_set = divmod(step * photographs + place, len(self._in_turn))
            rng = np.random.default_rng([self._any.seed, JOINT, step, place])
            sample, source = self._in_turn[of_set].photograph(number, predicted_share, rng)
            samples.append(sample)
            self.shown[source] += 1
        batch = {name: np.stack([sample[name] for sample in samples]) for name in (samples[0] if samples else ())}
        return {**batch, **self.plates(PLATES, step, plates)}
