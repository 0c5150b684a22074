"""Letters that no label has, though the country's plates are likely to: they are learned, too, if the start knows them.

On 25 Indonesian photographs one letter in twelve is on a single plate. As many of the next plate's letters will be new
then (Good 1953, after Turing), and a model that has no class for them reads none of these plates.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lpr_e2e.common.archives import refuse_unsound
from lpr_e2e.common.scripts import is_letter, kind
from lpr_e2e.common.terminal import many
from lpr_e2e.common.text_forms import MOST_MARKS
from lpr_e2e.drawing.glyphs import Alphabets
from lpr_e2e.training.settings import Settings

# The letters of a script are taken for all there are if so small a share of the next plates' letters will be new.
_FEW_NEW = 0.01


@dataclass(frozen=True)
class Lacking:
    """Letters of one script that labels are likely to lack.

    Attributes:
        seen: how many different ones the labels have.
        once: how many of these are on one plate only.
        share: the share of the next plates' letters that will be none of those seen, 0..1.
        letters: those of the script that the start knows, that can be drawn, and that no label has.
    """

    seen: int
    once: int
    share: float
    letters: str

    def __str__(self) -> str:
        return (
            f"The labels have {many(self.seen, 'letter')}, {self.once} of them on one plate only: of the letters of "
            f"other plates some {self.share:.0%} will be none of them. Learned from drawn plates, too: "
            f"{' '.join(self.letters)} (--characters names others instead)."
        )


def lacking(texts: Sequence[str], known: str, settings: Settings) -> list[Lacking]:
    """What labels are likely to lack, by script.

    Series marks, of which there are few, are no alphabet, see `lpr_e2e.common.text_forms`.

    Args:
        texts: to train on.
        known: characters of the model that the training starts from.
        settings: of the training.

    Raises:
        UserError: a font file cannot be read.
    """
    plates = Counter(character for text in set(texts) for character in set(text) if is_letter(character))
    found = []
    for of_kind in sorted({kind(one) for one in plates}):
        counts = [count for one, count in plates.items() if kind(one) == of_kind]
        once = counts.count(1)
        share = once / sum(counts)
        further = "".join(sorted(one for one in known if kind(one) == of_kind and one not in plates))
        if len(counts) > MOST_MARKS and share > _FEW_NEW and further:
            letters = _drawable(further, settings.fonts)
            found += [Lacking(len(counts), once, share, letters)] if letters else []
    return found


def with_letters(settings: Settings, missing: Sequence[Lacking]) -> Settings:
    """The settings of a training that learns these letters, too."""
    return replace(settings, characters="".join([settings.characters, *(one.letters for one in missing)]))


def characters_of(model: Path) -> str:
    """The characters that a saved model reads, without loading it; "" if it does not say.

    A file that is no model says so when it is loaded.
    """
    try:
        refuse_unsound(model)
        with zipfile.ZipFile(model) as archive:
            characters = json.loads(archive.read("config.json"))["config"]["characters"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, zipfile.BadZipFile):
        return ""
    return characters if isinstance(characters, str) else ""


def _drawable(letters: str, fonts: Sequence[str]) -> str:
    """Those of some letters that a font draws, one of these files or of this machine: nothing else would teach them."""
    drawn = Alphabets(letters, fonts).drawn_by
    return "".join(one for one in letters if one in drawn)
