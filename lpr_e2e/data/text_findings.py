"""What the texts of a data set tell before a training: characters and lengths that few plates have, held-out texts."""

from __future__ import annotations

from collections import Counter

from lpr_e2e.common.scripts import script
from lpr_e2e.common.terminal import many
from lpr_e2e.data.dataset import Loaded
from lpr_e2e.data.findings import EXAMPLES, Chart, Finding, View, crop_view, photograph_view
from lpr_e2e.data.pictures import CropPicture, PhotographPicture
from lpr_e2e.data.samples import Dataset

# A character on fewer real plates than this is hardly learned from them.
FEW_PLATES = 5
# A length that a smaller share of the texts has, or a single one, may well be a mistake.
RARE_LENGTH_SHARE = 0.01
# In a smaller set nothing that is rare is a sign of a mistake.
TEXTS_FOR_RARE_LENGTHS = 50
# Names of scripts that are no words.
_SCRIPTS = {"CJK": "Chinese"}


def uses(dataset: Dataset) -> Counter[str]:
    """On how many plates and crops to train on each character is."""
    return Counter(character for text in dataset.training_texts() for character in set(text))


def scripts_of(characters: str) -> str:
    """The scripts of some characters in words: `ARABIC, LATIN`."""
    found = dict.fromkeys(script(one) for one in characters)
    return ", ".join(_SCRIPTS.get(name, name.capitalize()) for name in found if name) or "digits and signs alone"


def unwritable(dataset: Dataset, further: str = "") -> list[str]:
    """A sentence on the held-out texts that a model trained on the others cannot write, if there are any.

    Args:
        dataset: the data.
        further: characters that are learned though no text has them.
    """
    texts = dataset.training_texts()
    known, longest = set("".join(texts) + further), max(map(len, texts), default=0)
    plates = [plate for one in dataset.validation_photographs for plate in one.plates]
    held = [one.text for one in [*plates, *dataset.validation_crops] if one.text]
    lost = sorted({text for text in held if not set(text) <= known or len(text) > longest})
    if not lost or not texts:
        return []
    new = "".join(sorted(set("".join(lost)) - known))
    reason = f"the characters {new}" if new else f"more than {longest} characters"
    return [
        f"{many(len(lost), 'held-out text')} cannot be written by a model that is trained on the others, as no other "
        f"plate has {reason}: {', '.join(lost[:EXAMPLES])}{' ...' if len(lost) > EXAMPLES else ''}"
        + (" (--characters adds characters, learned from drawn plates)." if new else ".")
    ]


def rare_texts(loaded: Loaded) -> Finding:
    """Texts with a character that few plates have, or of a length that few texts have."""
    texts = loaded.dataset.training_texts()
    counts = uses(loaded.dataset)
    few = {one for one, count in counts.items() if count < FEW_PLATES}
    lengths = Counter(map(len, texts))
    rare = {
        length
        for length, count in lengths.items()
        if len(texts) >= TEXTS_FOR_RARE_LENGTHS and (count == 1 or count < RARE_LENGTH_SHARE * len(texts))
    }
    known = set(texts)
    rows, examples = [], []
    for name, number, text, view in _plates(loaded):
        if text not in known or not (set(text) & few or len(text) in rare):
            continue
        why = [f"{one} on {many(counts[one], 'plate')}" for one in sorted(set(text) & few)]
        if len(text) in rare:
            why.append(f"{many(len(text), 'character')}, as {lengths[len(text)]} of {len(texts)} texts have")
        rows.append((name, number, text, "; ".join(why)))
        examples.append((view,))
    characters = f": {' '.join(sorted(few))}" if few else ""
    shown = f": {', '.join(map(str, sorted(rare)))}" if rare else ""
    return Finding(
        "Rare characters and lengths",
        f"{many(len(few), 'character')} on fewer than {FEW_PLATES} plates to train on{characters}; "
        f"{many(len(rare), 'length')} of a text that hardly any text has{shown}.",
        "they stay, and drawn plates teach them as well where a font has them. A mistyped text looks like this, too: "
        "look at them.",
        bool(few or rare),
        ("file", "row", "text", "what is rare"),
        rows,
        examples=examples[:EXAMPLES],
    )


def _plates(loaded: Loaded) -> list[tuple[str, str, str, View]]:
    """File, row, text and picture of every plate to train on that is labelled with a text."""
    held = loaded.split.held_photographs, loaded.split.held_crops
    found = []
    photographs: list[PhotographPicture] = loaded.compared.photographs
    for number, one in enumerate(photographs):
        for index, row in enumerate(one.plates):
            if row.text and number not in held[0] and (number, index) not in loaded.split.withheld_plates:
                found.append((row.csv, str(row.number), row.text, photograph_view(one, index, cut=True)))
    crops: list[CropPicture] = loaded.compared.crops
    for number, one in enumerate(crops):
        if one.row.text and number not in held[1] and number not in loaded.split.unusable_crops:
            found.append((one.row.csv, str(one.row.number), one.row.text, crop_view(one)))
    return found


def text_charts(loaded: Loaded) -> list[Chart]:
    """Lengths and characters of the texts to train on, in bars."""
    texts = loaded.dataset.training_texts()
    if not texts:
        return []
    lengths = Counter(map(len, texts))
    return [
        Chart(
            f"Characters of a text ({many(len(set(texts)), 'different text')} on {many(len(texts), 'plate')})",
            [(str(length), lengths[length]) for length in range(min(lengths), max(lengths) + 1)],
        ),
        Chart("Plates to train on that have a character", sorted(uses(loaded.dataset).items())),
    ]
