"""What each part of the training is worth: the same training without it, lever by lever.

It is trained once with everything and once without each lever, same seed, same steps. What concerns stage two only
starts from one and the same stage one. Every row of the table is a training in a process and a folder of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import read_json, write_json
from lpr_e2e.data.samples import Dataset
from lpr_e2e.experiments import processes
from lpr_e2e.training.settings import PRESETS, Settings, StageSettings

# In the folder of the rows: what all of them have in common.
_CALL = "ablation.json"
_FIGURES = ("plates_right", "characters_right", "mean_iou", "iou_50", "log_loss")


@dataclass(frozen=True)
class Lever:
    """A part of the training that can be left out.

    Attributes:
        name: what the run's folder is called.
        what: what is left out, for people.
        without: the settings that leave it out, see `Settings.changed`.
        changes: what leaving it out changes: `training`, both stages; `stage two`, after the stage one that all such
            rows share; or the `reading` only, with the weights of `EVERYTHING`.
        arguments: further arguments of the training that leave it out.
    """

    name: str
    what: str
    without: tuple[str, ...]
    changes: str = "stage two"
    arguments: tuple[str, ...] = ()


EVERYTHING = Lever("everything", "nothing", ())
# What the rows of stage two start from.
STAGE_ONE = Lever("stage-one", "", ("joint.steps=0",), "training")
# Nothing is trained or read otherwise for it: the temperature is fitted anew.
PRIOR = Lever("prior", "the prior that draws the temperature to 1 where few plates tell", (), "reading")
LEVERS = (
    Lever("start", "the weights that training starts from", (), "training", ("--weights", "none")),
    Lever("several-plates", "all plates of a photograph but the largest", ("mixture.further=0",)),
    Lever("partial-labels", "the care about unlabelled plates", (), "stage two", ("--labels", "complete")),
    Lever("light", "harsh light and motion", ("mixture.harsh=0", "mixture.moved=0"), "training"),
    Lever("undone", "plates whose motion is undone", ("mixture.undone=0",), "training"),
    Lever(
        "equalised",
        "plates with their contrast evened out",
        ("mixture.equalised=0", "procedure.equalised=0"),
        "training",
    ),
    Lever("moved", "doubtful plates read as if they had moved", ("procedure.moved=[0]",), "reading"),
    Lever("pretraining", "stage one: pretrained reading of plates alone", ("recognition.steps=0",), "training"),
    Lever("matching", "texts of photographs found by matching crops", ("mixture.matched=0",), "training"),
    Lever("pasting", "plates pasted into photographs", ("mixture.pasted_known=0", "mixture.pasted_unknown=0")),
    Lever("drawing", "drawn plates", ("mixture.real=1", "mixture.pasted_real=1"), "training"),
    Lever("tilting", "photographs tilted by some ten degrees", ("mixture.tilted=0",)),
    Lever("turning", "photographs turned by quarters", ("mixture.turned=0",)),
    Lever("closeness", "photographs as the second look shows them", ("mixture.close=0",)),
    Lever("distant", "photographs as if from further away", ("mixture.distant=0",)),
    Lever("unreadable", "plates the wrong way up, to be read as nothing", ("mixture.unreadable=0",), "training"),
    Lever("written", "writing that is no plate", ("mixture.written=0",), "training"),
    Lever("partly", "plates of which something cannot be seen", ("mixture.partly=0",), "training"),
    Lever("foreign", "letters of other scripts on drawn plates", ("mixture.foreign=0",), "training"),
    Lever("longer", "drawn plates with a character more than others", ("mixture.longer=0",), "training"),
    Lever("hiding", "windows without a plate", ("mixture.hidden=0",)),
    Lever("predicted-boxes", "reading in predicted boxes while training", ("predicted_to=0",)),
    Lever("crop-gradient", "gradient of the reading through the crop", ("crop_gradient=0",)),
    Lever("attention", "on drawn plates, where to look for each character", ("attention_weight=0",), "training"),
    Lever("averaging", "averaged weights", ("averaging=0",), "training"),
    Lever(
        "high-rate",
        "a learning rate that stays high, with a long average",
        (
            f"joint.lowest_rate={StageSettings.lowest_rate}",
            f"averaging={Settings.averaging}",
            f"averaging_power={Settings.averaging_power}",
        ),
        "training",
    ),
    Lever("own-labels", "texts that the model itself gives photographs", ("mixture.self_labelled=0",)),
    Lever("rearranging", "real plates with their digits in another order", ("mixture.rearranged=0",)),
    Lever("real-letters", "drawn plates in the letters of the real ones", ("mixture.real_letters=0",)),
    Lever("depth", "the decoder's second layer", ("architecture.decoder_depth=1",), "training"),
    Lever("resolution", "a quarter of the glimpse's sides", ("architecture.glimpse_size=[48, 144]",), "training"),
    Lever("width", "a quarter of the filters", ("architecture.widths=[12, 24, 48, 84, 108]",), "training"),
    Lever("second-look", "the second look", ("procedure.second_look=0",), "reading"),
    Lever("rectifying", "reading along the tilt", ("procedure.rectify=false",), "reading"),
    Lever("reading-scales", "several glimpses per plate", ("procedure.reading_scales=[1.0]",), "reading"),
    Lever("doubt", "doubtful plates read again from all sides", ("procedure.doubt=0",), "reading"),
    PRIOR,
)
# The two heads trained apart: one model only finds, another one only reads, in as many glimpses as the joint training.
FINDER = Lever("apart-finder", "", ("recognition.steps=0", "reading_weight=0"), "training")
READER = Lever("apart-reader", "", ("joint.steps=0",), "training")
APART = Lever("apart", "joint training: the two heads trained apart, each with a backbone of its own", ())


def scaled(settings: Settings, effort: float) -> Settings:
    """The settings with the steps of both stages scaled, to whole epochs."""

    def shorter(stage):
        epochs = max(1, round(effort * stage.steps / settings.epoch_steps))
        return replace(stage, steps=epochs * settings.epoch_steps)

    return replace(settings, recognition=shorter(settings.recognition), joint=shorter(settings.joint))


class Ablation:
    """Trains and evaluates the rows of one table.

    Args:
        data, exclude: as for `train.py`.
        output: where the runs go.
        preset: the preset of every run.
        effort: scale of its steps.
        seed: of every run.
        extra: more settings for every run, see `Settings.changed`.
        train: calls `train.py` with arguments.
    """

    def __init__(
        self,
        data: Path,
        exclude: Path | None,
        output: Path,
        preset: str = "standard",
        effort: float = 1.0,
        seed: int = 0,
        extra: Sequence[str] = (),
        train: Callable[[list[str]], None] | None = None,
    ):
        self.data, self.exclude, self.output, self.preset = data, exclude, output, preset
        self.settings = scaled(PRESETS[preset].changed(extra), effort)
        self.seed, self.extra, self.train = seed, tuple(extra), train or processes.train
        places = {name: str(path.resolve()) if path else None for name, path in (("data", data), ("exclude", exclude))}
        self._call = {**places, "preset": preset, "effort": effort, "set": list(extra)}

    def _refuse_rows_of_others(self) -> None:
        noted = self.output / _CALL
        if noted.exists():
            try:
                before = dict(read_json(noted))
            except (OSError, ValueError, TypeError) as error:
                raise UserError(f"{noted}: damaged ({error}); name another folder with --output") from None
            was_begun = any(self.output.glob("*-seed*/*"))  # Else the call was wrong.
            for name, value in self._call.items():
                if was_begun and before.get(name) != value:
                    raise UserError(
                        f"{self.output}: holds rows with {name} {before.get(name)!r}, not {value!r}; name another "
                        "folder with --output"
                    )

    def figures(self, lever: Lever) -> dict:
        """The figures without a lever, trained now if they are not there yet.

        Raises:
            UserError: the rows there are of another call, to which this one cannot be compared.
        """
        self._refuse_rows_of_others()
        if lever == APART:
            return self._apart()
        if lever == PRIOR:
            return self._without_prior()
        if lever.changes == "reading":
            return self._read_otherwise(lever)
        if lever.changes == "stage two":
            self.figures(STAGE_ONE)
        folder = self._folder(lever)
        if not (folder / "figures.json").exists():
            self.output.mkdir(parents=True, exist_ok=True)
            write_json(self.output / _CALL, self._call)
            self.train(processes.resumed(folder, self.command(lever, folder)))
        return processes.figures_of(folder)

    def command(self, lever: Lever, folder: Path) -> list[str]:
        """The arguments of `train.py` for the training without a lever."""
        recognition, joint = self.settings.recognition, self.settings.joint
        steps = recognition.steps
        if lever == READER:
            steps += round(joint.steps * (joint.photographs + joint.plates) / recognition.plates)
        start = []
        if lever.changes == "stage two":
            steps, start = 0, ["--weights", str(self._folder(STAGE_ONE) / "best.keras")]
        sets = [*self.extra, f"recognition.steps={steps}", f"joint.steps={joint.steps}", *lever.without]
        exclude = ["--exclude", str(self.exclude)] if self.exclude else []
        arguments = ["--data", str(self.data), *exclude, "--preset", self.preset, "--run", str(folder), *start]
        arguments += lever.arguments
        return [*arguments, "--seed", str(self.seed), *(part for value in sets for part in ("--set", value))]

    def _folder(self, lever: Lever) -> Path:
        return self.output / f"{lever.name}-seed{self.seed}"

    def _best(self, lever: Lever):
        from lpr_e2e.model.plate_model import load

        self.figures(lever)
        return load(self._folder(lever) / "best.keras")

    def _read_otherwise(self, lever: Lever) -> dict:
        from lpr_e2e.model.plate_model import PlateModel

        trained = self._best(EVERYTHING)
        procedure = replace(self.settings, procedure=trained.procedure).changed(lever.without).procedure
        vocabulary = trained.vocabulary
        model = PlateModel(trained.architecture, vocabulary.characters, vocabulary.slots, procedure)
        model.set_weights(trained.get_weights())
        return self._score(model)

    def _without_prior(self) -> dict:
        from lpr_e2e.training.evaluators import HeldOut, best_temperature

        model = self._best(EVERYTHING)
        held = HeldOut(self._held_out(), model.vocabulary, model.architecture, model.procedure)
        model.temperature.assign(best_temperature(model, held, prior_plates=0))
        return self._score(model)

    def _apart(self) -> dict:
        finder, reader = self._best(FINDER), self._best(READER)
        finder.reader = reader.reader
        return self._score(finder)

    def _held_out(self) -> Dataset:
        from lpr_e2e.data.dataset import load_dataset

        return load_dataset(self.data, exclude=self.exclude, seed=self.seed)

    def _score(self, model) -> dict:
        from lpr_e2e.evaluation.scoring import score
        from lpr_e2e.prediction.reader import PlateReader

        held = self._held_out().validation_photographs
        found = PlateReader.of(model).read_files([(photograph.img_id, photograph.path) for photograph in held])
        return score(held, {img_id: readings for img_id, _, readings in found}, model.vocabulary).as_dict()


def table(rows: Sequence[tuple[str, dict]]) -> str:
    """A Markdown table of what was left out and the figures without it."""
    lines = ["| without | plate accuracy | character accuracy | mean IoU | at IoU 0.5 | log loss |", "| --- " * 6 + "|"]
    forms = ("{:.1%}", "{:.1%}", "{:.3f}", "{:.1%}", "{:.3f}")
    for name, figures in rows:
        values = (
            form.format(figures[key]) if key in figures else "-" for key, form in zip(_FIGURES, forms, strict=True)
        )
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)
