"""Training: both stages with evaluation after every epoch, the run folder, and resuming.

A stage's batches are functions of the step, its state is saved after every epoch: a run that is killed at any moment
and resumed ends with the weights of a run that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lpr_e2e.common.errors import TrainingError
from lpr_e2e.common.images import PictureError
from lpr_e2e.common.terminal import say
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.dataset import Dataset, Photograph
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.evaluation.calibration import fitted_temperature
from lpr_e2e.evaluation.scoring import Figures, best_reading, score
from lpr_e2e.model.plate_model import PlateModel, load, parameters
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.training.batches import BatchMaker, batches, plain_glimpses, plain_joint_batches
from lpr_e2e.training.board import Board, canvas_pictures, glimpse_pictures, validation_pictures
from lpr_e2e.training.callbacks import AveragedAdamW, Supervisor, WarmCosine
from lpr_e2e.training.distribution import Job
from lpr_e2e.training.labelling import label
from lpr_e2e.training.plots import calibration_plot, confusion_plot, shares_plot
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.run_folder import RunFolder
from lpr_e2e.training.settings import Settings, Stage
from lpr_e2e.training.tasks import JointStage, RecognitionStage

# Validation photographs shown in TensorBoard, and training photographs whose figures stand beside the held-out ones.
_SHOWN, _COMPARED = 8, 32
# XLA makes TensorFlow's training slower on processors, not faster; without it, JAX would run one operation at a time.
COMPILED = keras.backend.backend() == "jax"
# Photographs per batch where nothing is learned.
_EVALUATION_BATCH = 8


def training_texts(dataset: Dataset) -> list[str]:
    """All texts that are trained on, of crops and photographs.

    Raises:
        TrainingError: there is none.
    """
    texts = [one.text for one in [*dataset.crops, *dataset.photographs] if one.text]
    if not texts:
        raise TrainingError("no text is left to train on; expected a CSV with the columns img_id,text")
    return texts


def training_vocabulary(dataset: Dataset) -> Vocabulary:
    """The vocabulary of the texts that are trained on; raises as `training_texts`."""
    return Vocabulary.from_texts(training_texts(dataset))


class Training:
    """One training run.

    Args:
        settings: see `lpr_e2e.training.settings`.
        dataset: see `lpr_e2e.data.dataset`.
        folder: the run folder, already started.
        say: takes a line for people.
        weights: a saved model to start from, or None; only weights of equal name and shape are taken over.
        job: the processes that train together, if there are several. They share the run folder, which its chief alone
            writes.

    Attributes:
        model: this process's own model, with which it evaluates, labels and saves.
        trained: the model that all processes train; the same one if there is one process.
    """

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        folder: RunFolder,
        say: Callable[[str], None] = say,
        weights: str | Path | None = None,
        job: Job | None = None,
    ):
        self.settings, self.dataset, self.folder, self.job = settings, dataset, folder, job or Job()
        self.say = say if self.job.chief else lambda line: None
        keras.utils.set_random_seed(settings.seed)
        self.vocabulary = training_vocabulary(dataset)
        self.model = self._new_model()
        try:
            self.painter = PlatePainter(training_texts(dataset), settings.mixture.worn)
        except (ValueError, RuntimeError) as error:
            raise TrainingError(f"cannot draw plates: {error}") from error
        self.maker = self._batch_maker()
        self.trained = self.model
        self.progress = folder.progress() or {"stage": "recognition", "epoch": 0, "best": None, "waited": 0}
        if weights is not None and self.progress["epoch"] == 0 and self.progress["stage"] == "recognition":
            taken, all_weights = take_weights(self.model, load(weights))
            self.say(f"{taken} of {all_weights} weights taken over from {weights}")
        if self.job.processes > 1:
            with self.job.together():
                self.trained = self._new_model()
                self.trained.set_weights(self.model.get_weights())
        # Of the last evaluation: the readings of the held-out photographs, and the img_ids of the surest mistakes.
        self.held_readings: dict[str, list[Reading]] = {}
        self.worst: set[str] = set()
        self.held_glimpses = plain_glimpses(
            dataset.validation_photographs,
            dataset.validation_crops,
            self.vocabulary,
            settings.architecture,
            settings.procedure,
        )

    def _new_model(self) -> PlateModel:
        settings, vocabulary = self.settings, self.vocabulary
        return PlateModel(settings.architecture, vocabulary.characters, vocabulary.slots, settings.procedure)

    def run(self) -> Figures | None:
        """Train what is left to train of both stages.

        Returns:
            the final figures on the held-out photographs; None in a process that is not the chief.
        """
        self.board = Board(self.folder.path / "tensorboard") if self.job.chief else None
        self.say(f"model: {parameters(self.model):,} parameters, reads {self.vocabulary.characters!r}")
        try:
            if self.job.chief and self.progress["epoch"] == 0 and self.progress["stage"] == "recognition":
                self._show_batches()
            if self.progress["stage"] == "recognition":
                self._keep_start()
                self._run_stage("recognition", self.settings.recognition, RecognitionStage)
                self.progress = {"stage": "joint", "epoch": 0, "best": None, "waited": 0}
                self.save_state(self.trained.weights)
            if self.progress["stage"] == "joint":
                self._label()
                self._run_stage("joint", self.settings.joint, self._joint_stage)
                self.progress = {**self.progress, "stage": "done"}
                self.save_state(self.trained.weights)
            figures = self._finish() if self.job.chief else None
            self.job.agree()  # Nobody leaves while the chief still writes.
            return figures
        except PictureError as error:
            raise TrainingError(
                f"{error}: the data changed during the training; put it back and go on with --resume {self.folder.path}"
            ) from error
        finally:
            if self.board:
                self.board.close()

    def _keep_start(self) -> None:
        """Save what the run starts from, or take it from an earlier start: the weights of another model, perhaps."""
        if self.progress["epoch"]:
            return
        if self.folder.progress() is None:
            self.save_state(self.trained.weights)
        else:
            self.folder.load_variables(self.trained.weights)
            self.job.agree()

    def _joint_stage(self, model: PlateModel) -> JointStage:
        return JointStage(model, self.settings.crop_gradient, self.settings.reading_weight)

    def save_state(self, variables: list) -> None:
        """Write these variables and the progress for a later resumption; all processes wait until it is done."""
        if self.job.chief:
            self.folder.save_state(variables, self.progress)
        self.job.agree()

    def take_over(self) -> None:
        """Give this process's own model the weights that all have trained."""
        if self.trained is not self.model:
            self.model.set_weights([np.array(weight) for weight in self.trained.weights])

    def _batch_maker(self, own: PseudoLabels | None = None) -> BatchMaker:
        settings = self.settings
        return BatchMaker(
            self.dataset,
            self.vocabulary,
            settings.architecture,
            settings.procedure,
            self.painter,
            settings.mixture,
            settings.seed,
            own,
            self.job.process,
            self.job.processes,
        )

    def _label(self) -> None:
        """Let the model label what stage two is trained on; once, so that a resumed run goes on with the same."""
        mixture = self.settings.mixture
        if not (mixture.self_labelled or mixture.rearranged):
            return
        path = self.folder.path / "own_labels.csv"
        if self.job.chief and not path.exists():
            # Saved by the end of stage one: an interruption in between changes nothing.
            self.folder.load_variables(self.model.weights)
            label(self.model, self.dataset, mixture.self_labelled).save(path)
        self.job.agree()
        try:
            own = PseudoLabels.load(path)
        except ValueError as error:
            raise TrainingError(str(error)) from error
        self.say(
            f"labelled by the model itself: the texts of {len(own.readings)} photographs, the tilts of "
            f"{len(own.tilts)}, the characters' places on {len(own.cuts)} plates"
        )
        self.maker = self._batch_maker(own)

    def _show_batches(self) -> None:
        """The augmented samples, once, before anything is learned from them."""
        stage = self.settings.joint
        batch = self.maker.joint_batch(0, min(stage.photographs, _SHOWN), min(stage.plates, 12), 0.0)
        self.board.pictures(0, "training/photographs", canvas_pictures(batch, self.vocabulary))
        self.board.pictures(0, "training/glimpses", glimpse_pictures(batch, self.vocabulary))
        self.board.text("data", self.dataset.summary().replace("\n", "\n\n"))

    def make(self, name: str, stage: Stage) -> Callable[[int], dict]:
        """The function from step to batch of a stage."""
        if name == "recognition":
            return lambda step: self.maker.recognition_batch(step, stage.plates)
        first, last = self.settings.predicted_from, self.settings.predicted_to

        def make(step: int) -> dict:
            # The predicted boxes are bad at first; they come in over the first half.
            predicted_share = first + (last - first) * min(1.0, 2 * step / stage.steps)
            return self.maker.joint_batch(step, stage.photographs, stage.plates, predicted_share)

        return make

    def _run_stage(self, name: str, stage: Stage, make_task: Callable[[PlateModel], keras.Model]) -> None:
        if not stage.steps:
            return
        for count in (stage.plates, stage.photographs):
            if count % self.job.processes:
                raise TrainingError(
                    f"{name}: {count} per step cannot be shared by {self.job.processes} processes; expected a multiple"
                )
        with self.job.together():
            self._train(name, stage, make_task)

    def _train(self, name: str, stage: Stage, make_task: Callable[[PlateModel], keras.Model]) -> None:
        task = make_task(self.trained)
        epoch_steps = min(self.settings.epoch_steps, stage.steps)
        epochs = stage.steps // epoch_steps
        schedule = WarmCosine(stage.learning_rate, stage.warm_up, stage.steps)
        optimizer = AveragedAdamW(
            schedule, self.settings.averaging, weight_decay=self.settings.weight_decay, global_clipnorm=1.0
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "positions", "queries"])
        task.compile(optimizer=optimizer, jit_compile=COMPILED)
        optimizer.build(task.trainable_variables)
        first_epoch = self.progress["epoch"]
        variables = [*self.trained.weights, *optimizer.variables]
        own_task = task
        if self.trained is not self.model:
            with self.job.alone():
                own_task = make_task(self.model)
                own_task.compile(jit_compile=COMPILED)
        if first_epoch:
            self.folder.load_variables(variables)
            self.say(f"{name}: going on after epoch {first_epoch} of {epochs}")
        elif name == "joint":  # From the end of stage one.
            self.folder.load_variables(self.trained.weights)
        make = self.make(name, stage)
        failures: list[Exception] = []
        if first_epoch < epochs and not self.patience_is_over():
            try:
                task.fit(
                    batches(make, first_epoch * epoch_steps, epochs * epoch_steps, failures),
                    initial_epoch=first_epoch,
                    epochs=epochs,
                    steps_per_epoch=epoch_steps,
                    shuffle=False,
                    callbacks=[Supervisor(self, name, own_task, variables)],
                    verbose="auto" if self.job.chief else 0,
                )
            except tf.errors.OpError as error:
                raise failures[0] if failures else error from None
        # What follows starts from the averaged weights.
        optimizer.finalize_variable_values(task.trainable_variables)
        self.take_over()

    def patience_is_over(self) -> bool:
        """Whether the running stage has gone too long without a better validation."""
        return self.progress["waited"] >= self.settings.patience

    def evaluate(self, name: str, task: keras.Model) -> tuple[float, dict[str, float], dict[str, float]]:
        """Held-out figures of a stage.

        Returns:
            the score that decides which model is best, the held-out figures, and for stage two the same figures of a
            few photographs that are trained on.
        """
        read = self._read_held_glimpses()
        if name == "recognition":
            values = {f"loss/{key}": value for key, value in self._losses(task, self._held_glimpse_batches()).items()}
            return read["plates_right"], {**values, **{f"reading/{key}": value for key, value in read.items()}}, {}
        values = {f"loss/{key}": value for key, value in self._losses(task, self._held_joint_batches()).items()}
        scored = self._figures_of_held()
        self.worst = {mistake.img_id for mistake in scored.mistakes[:_SHOWN]}
        figures = scored.as_dict()
        seen = self.figures(self.dataset.photographs[:_COMPARED]).as_dict()
        values |= {f"end to end/{key}": value for key, value in figures.items()}
        values |= {f"reading/{key}": value for key, value in read.items()}
        # Of a hundred held-out plates, one more or less is chance: characters and boxes count as much.
        exact = figures.get("plates_right", read["plates_right"])
        fine = figures.get("characters_right", read["characters_right"]) + figures.get("mean_iou", 0.0)
        return exact + fine, values, {f"end to end/{key}": value for key, value in seen.items()}

    def read_photographs(self, photographs: list[Photograph]) -> dict[str, list[Reading]]:
        """Readings of the model as it stands, by img_id."""
        files = [(photograph.img_id, photograph.path) for photograph in photographs]
        found = PlateReader.of(self.model).read_files(files, _EVALUATION_BATCH)
        return {img_id: readings for img_id, _, readings in found}

    def figures(self, photographs: list[Photograph]) -> Figures:
        """Figures of the model as it stands, photograph in, text out."""
        return score(photographs, self.read_photographs(photographs), self.vocabulary)

    def _figures_of_held(self) -> Figures:
        """The same of the held-out photographs; their readings are kept for the plots."""
        held = self.dataset.validation_photographs
        self.held_readings = self.read_photographs(held)
        return score(held, self.held_readings, self.vocabulary)

    def _fitted_temperature(self) -> float:
        """The temperature that fits the held-out photographs whose text can be spelt and whose plate was found."""
        held = self.dataset.validation_photographs
        readings = self.read_photographs(held)
        probabilities, classes = [], []
        for photograph in held:
            characters = best_reading(readings[photograph.img_id]).characters
            if photograph.text is not None and characters is not None and self.vocabulary.spells(photograph.text):
                probabilities.append(characters)
                classes.append(self.vocabulary.encode(photograph.text))
        return fitted_temperature(np.array(probabilities), np.array(classes))

    def _read_held_glimpses(self) -> dict[str, float]:
        """Plate and character accuracy of the held-out glimpses; 0 where there are none."""
        right = characters = letters = 0
        for batch in self._held_glimpse_batches():
            classes = batch["glimpse_classes"]
            answers = np.asarray(self.model.read(batch["glimpses"])["logits"])[:, -1].argmax(-1)
            right += (answers == classes).all(-1).sum()
            characters += ((answers == classes) & (classes != 0)).sum()
            letters += (classes != 0).sum()
        plates = len(self.held_glimpses["glimpses"])
        return {"plates_right": float(right / max(1, plates)), "characters_right": float(characters / max(1, letters))}

    def _held_glimpse_batches(self) -> Iterator[dict]:
        for start in range(0, len(self.held_glimpses["glimpses"]), 64):
            yield {name: values[start : start + 64] for name, values in self.held_glimpses.items()}

    def _held_joint_batches(self) -> Iterator[dict]:
        return plain_joint_batches(
            self.dataset.validation_photographs,
            self.vocabulary,
            self.settings.architecture,
            self.settings.procedure,
            _EVALUATION_BATCH,
        )

    @staticmethod
    def _losses(task: keras.Model, held: Iterator[dict]) -> dict[str, float]:
        """Mean loss terms over held-out batches."""
        sums: dict[str, float] = {}
        count = 0
        for batch in held:
            logs = task.test_on_batch(batch, return_dict=True)
            task.reset_metrics()
            # Photographs that only fill a batch up do not count.
            size = int(batch["box_known"].sum()) if "box_known" in batch else len(batch["glimpses"])
            count += size
            for key, value in logs.items():
                sums[key] = sums.get(key, 0.0) + float(value) * size
        return {key: value / count for key, value in sums.items()}

    def show_validation(self, epoch: int) -> None:
        """Pictures of held-out photographs for TensorBoard: always the same, and those read wrongly most surely."""
        held = self.dataset.validation_photographs
        chosen = held[:: max(1, len(held) // _SHOWN)][:_SHOWN]
        worst = [photograph for photograph in held if photograph.img_id in self.worst]
        for title, photographs in (("validation", chosen), ("mistakes", worst)):
            for name, pictures in validation_pictures(self.model, photographs).items():
                if pictures:
                    self.board.pictures(epoch, f"{title}/{name}", pictures)
        read = [
            (one.text, best_reading(self.held_readings[one.img_id])) for one in held if one.img_id in self.held_readings
        ]
        read = [(truth, reading) for truth, reading in read if truth is not None]
        if read:
            texts = [(truth, reading.text) for truth, reading in read]
            right = [truth == text for truth, text in texts]
            plots = {
                "confusion of characters": confusion_plot(texts, self.vocabulary.characters),
                "calibration": calibration_plot([reading.confidence for _, reading in read], right),
            }
            for name, plot in plots.items():
                self.board.pictures(epoch, f"plots/{name}", [plot])
        self.board.pictures(epoch, "training/sources", [shares_plot(self.maker.shares(), "Samples per source")])

    def _finish(self) -> Figures:
        """Take the best model, fit its temperature, write it and its figures down."""
        if (self.folder.path / "best.keras").exists():
            self.model.set_weights(load(self.folder.path / "best.keras").get_weights())
        held = self.dataset.validation_photographs
        self.model.temperature.assign(1.0)
        self.model.temperature.assign(self._fitted_temperature())
        figures = self._figures_of_held()
        self.worst = {mistake.img_id for mistake in figures.mistakes[:_SHOWN]}
        self.folder.save_model(self.model, "best.keras")
        values = figures.as_dict()
        self.folder.write_figures(
            {
                **values,
                "photographs": len(held),
                "temperature": float(self.model.temperature),
                "mistakes": [[one.img_id, one.truth, one.read, round(one.confidence, 4)] for one in figures.mistakes],
            }
        )
        self.board.settings(self.settings.as_dict(), values, self.progress["epoch"])
        self.show_validation(self.progress["epoch"] + 1)
        return figures


def take_weights(model: PlateModel, source: PlateModel) -> tuple[int, int]:
    """Copy the weights of `source` whose path and shape `model` has too; return how many, and out of how many.

    The classifier is taken over only with the vocabulary it was trained for.
    """
    given = {weight.path: weight for weight in source.weights}
    if source.vocabulary.characters != model.vocabulary.characters:
        given = {path: weight for path, weight in given.items() if "classifier" not in path}
    taken = 0
    for weight in model.weights:
        other = given.get(weight.path)
        if other is not None and other.shape == weight.shape:
            weight.assign(other)
            taken += 1
    return taken, len(model.weights)
