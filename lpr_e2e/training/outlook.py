"""What a training will do with a data set, told before it begins; what it refuses is refused here, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from lpr_e2e.common.errors import TrainingError
from lpr_e2e.common.terminal import many
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.dataset import Loaded
from lpr_e2e.data.findings import Finding
from lpr_e2e.data.text_findings import FEW_PLATES, scripts_of, unwritable, uses
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.evaluation.intervals import wilson_interval
from lpr_e2e.training.alphabet import Lacking, with_letters
from lpr_e2e.training.settings import Settings

# The figure whose interval is shown.
_RIGHT_SHARE = 0.95


def outlook(
    loaded: Loaded,
    settings: Settings,
    start: str,
    fixed: Collection[str] | None = None,
    missing: Sequence[Lacking] = (),
) -> list[Finding]:
    """What each character is learned from, what the figures will be worth, and what the two stages do.

    Args:
        loaded: the data.
        settings: of the training.
        start: what it starts from, in words.
        fixed: stages whose steps somebody has set, of a training that starts from weights; None: from nothing.
        missing: letters that the training adds, as labels are likely to lack them.

    Raises:
        TrainingError: the training would refuse the data: no text is left, or plates cannot be drawn.
        UserError: a font file cannot be read.
    """
    settings = with_letters(settings, missing)
    longer = settings.mixture.longer > 0
    vocabulary = Vocabulary.from_texts(loaded.dataset.training_texts(), settings.characters, spare=longer)
    try:
        painter = PlatePainter(
            loaded.dataset.training_texts(),
            settings.mixture.worn,
            fonts=settings.fonts,
            characters=settings.characters,
        )
    except (ValueError, RuntimeError) as error:
        raise TrainingError(f"cannot draw plates: {error}") from error
    return [
        _characters(loaded, vocabulary, painter, settings, missing),
        _figures(loaded),
        _stages(settings, vocabulary, start, fixed, painter.can_draw),
    ]


def _characters(
    loaded: Loaded, vocabulary: Vocabulary, painter: PlatePainter, settings: Settings, missing: Sequence[Lacking]
) -> Finding:
    """What each character will be learned from."""
    counts = uses(loaded.dataset)
    font = {one: name for part, name in painter.drawn_by.items() for one in part}
    rows = [
        (one, scripts_of(one) if one.isalpha() else "", str(counts[one]), font.get(one, "by no font"))
        for one in vocabulary.characters
    ]
    real_only = [one for one in vocabulary.characters if one not in font and not one.isspace()]
    fonts = Counter(font[one] for one in vocabulary.characters if one in font)
    drawn_only = [one for one in vocabulary.characters if not counts[one]]
    nothing = [one for one in drawn_only if one not in font]
    few = [one for one in vocabulary.characters if 0 < counts[one] < FEW_PLATES and one in font]
    said = [
        f"{many(len(vocabulary.characters), 'character')} ({scripts_of(vocabulary.characters)})",
        f"drawn by {', '.join(f'{name} ({count})' for name, count in fonts.most_common()) or 'no font'} and the like",
    ]
    for members, what in (
        (few, f"on fewer than {FEW_PLATES} real plates, so mostly from drawn ones"),
        ([one for one in real_only if one not in nothing], "from real plates alone, as no font on this machine has it"),
        ([one for one in drawn_only if one not in nothing], "from drawn plates alone, as no label has it"),
        (nothing, "from nothing: no label and no font has it"),
    ):
        if members:
            shown = " ".join(f"{one} ({counts[one]})" if counts[one] else one for one in members)
            said.append(f"{what}: {shown}")
    lost = unwritable(loaded.dataset, settings.characters)
    return Finding(
        "What each character is learned from",
        " ".join(["; ".join(said) + ".", *map(str, missing), *lost]),
        f"learns {'all' if len(said) == 2 else 'the others'} from real plates and from drawn ones. --font names a font "
        "that has what is lacking, --characters adds letters that no label has.",
        bool(real_only or few or lost or missing),
        ("character", "script", "real plates and crops that have it", "drawn by"),
        rows,
    )


def _figures(loaded: Loaded) -> Finding:
    """What the figures of a training on this data will be worth."""
    split = loaded.split
    readings = split.readings_on_photographs + split.readings_on_crops
    title = "What the figures will be worth"
    if not readings and any(one.plates for one in loaded.dataset.validation_photographs):
        held = many(len(loaded.dataset.validation_photographs), "photograph")
        return Finding(
            title,
            f"no plate with a text is held out, but {held} with boxes: finding is measured, reading is not.",
            "chooses its best epoch by the boxes alone.",
            True,
        )
    if not readings:
        return Finding(
            title,
            "no plate with a text is held out: nothing is measured.",
            "keeps the weights of its last epoch, and says that they are unmeasured.",
            True,
        )
    on_photographs = many(split.readings_on_photographs, "reading")
    said = f"{on_photographs} on photographs and {split.readings_on_crops} on crops are held out"
    if not split.readings_on_photographs:
        return Finding(
            title,
            f"{said}: reading is measured on crops alone, and how plates are found and read together is not.",
            "chooses its best epoch by the crops.",
            True,
        )
    low, high = wilson_interval(round(_RIGHT_SHARE * split.readings_on_photographs), split.readings_on_photographs)
    return Finding(
        title,
        f"{said}. If about {_RIGHT_SHARE:.0%} of those on photographs are right, the truth is between {low:.0%} and "
        f"{high:.0%} (95 % interval): smaller differences mean nothing.",
        "chooses its best epoch and calibrates by them, and shows the interval with every figure.",
        high - low > 0.15,
    )


def _stages(
    settings: Settings, vocabulary: Vocabulary, start: str, fixed: Collection[str] | None, draws: bool
) -> Finding:
    """What the two stages do."""
    stages = {"recognition": settings.recognition, "joint": settings.joint}
    alone, both = (
        stage.steps if fixed is None or name in fixed else min(stage.steps, stage.started_steps)
        for name, stage in stages.items()
    )
    shared = f"{alone} steps of reading alone, and {both} of finding and reading"
    fewer = "" if fixed is None else " (the first the fewer, the more held-out plates the start already reads)"
    drawn = "" if draws else " Nothing can be drawn: it trains on real plates alone."
    return Finding(
        "What training will do",
        f"starts from {start}; a reading has at most {many(vocabulary.slots, 'character')} of "
        f"{len(vocabulary.characters)}.",
        f"at most {shared}{fewer}, with an evaluation every {settings.epoch_steps} steps; seed {settings.seed}.{drawn}",
    )
