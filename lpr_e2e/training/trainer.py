"""Training: both stages one after the other, and resuming.

A stage's batches are functions of the step, its state is saved after every epoch: a run that is killed at any moment
and resumed ends with the weights of a run that was not.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import keras

from lpr_e2e.common.backend import use_our_settings
from lpr_e2e.common.errors import TrainingError, UserError
from lpr_e2e.common.images import PictureError
from lpr_e2e.common.terminal import say
from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Dataset
from lpr_e2e.evaluation.scoring import Figures
from lpr_e2e.model.plate_model import PlateModel, load, parameters
from lpr_e2e.training import letterforms
from lpr_e2e.training.board import Board
from lpr_e2e.training.callbacks import EpochEnd, Progress, Record
from lpr_e2e.training.distribution import Job, Replicas, workers_beside
from lpr_e2e.training.evaluators import SHOWN, HeldOut, Validation
from lpr_e2e.training.finishing import finish
from lpr_e2e.training.gallery import Gallery
from lpr_e2e.training.labelling import label
from lpr_e2e.training.loader import BatchLoader
from lpr_e2e.training.optimizer import make_optimizer
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.recipe import BatchPlan, BatchRecipe, styles_of
from lpr_e2e.training.run_folder import LETTERS, OWN_LABELS, RunFolder
from lpr_e2e.training.settings import Settings
from lpr_e2e.training.start import take_over
from lpr_e2e.training.tasks import task_of

# XLA makes TensorFlow's training slower on processors, not faster; without it, JAX would run one operation at a time.
COMPILED = keras.backend.backend() == "jax"
# Glimpses shown in TensorBoard before the training.
_GLIMPSES_SHOWN = 12


def training_vocabulary(dataset: Dataset, further: str = "", unseen: bool = False, spare: bool = False) -> Vocabulary:
    """The vocabulary of the texts that are trained on, see `Vocabulary.from_texts`.

    Raises:
        TrainingError: there is no text.
    """
    texts = dataset.training_texts()
    if not texts:
        raise TrainingError("no text is left to train on; expected texts of plates, or crops with a text")
    return Vocabulary.from_texts(texts, further, unseen, spare)


def vocabulary_for(settings: Settings, dataset: Dataset) -> Vocabulary:
    """The vocabulary of a training with these settings, see `training_vocabulary`."""
    mixture = settings.mixture
    return training_vocabulary(dataset, settings.characters, mixture.partly > 0, mixture.longer > 0)


class Training:
    """One training run.

    Args:
        settings: see `lpr_e2e.training.settings`.
        dataset: see `lpr_e2e.data.dataset`.
        folder: the run folder, already started.
        say: takes a line for people.
        weights: a saved model to start from, or None; see `lpr_e2e.training.start`.
        job: the processes that train together, if there are several. They share the run folder, which its chief alone
            writes.

    Attributes:
        recipe, maker: of the batches; the maker in this process makes the batches that are only looked at.
        shown: how many of the samples trained on came from each source.
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
        self.job.use_devices(settings)
        self.say = say if self.job.chief else lambda line: None
        self.vocabulary = vocabulary_for(settings, dataset)
        self.held = HeldOut(dataset, self.vocabulary, settings.architecture, settings.procedure)
        self.recipe = BatchRecipe(
            dataset,
            self.vocabulary,
            settings.architecture,
            settings.procedure,
            settings.mixture,
            settings.seed,
            parts=((self.job.process, self.job.processes),),
            characters=settings.characters,
            fonts=settings.fonts,
            styles=styles_of(dataset),
        )
        try:
            self.maker = self.recipe.maker()
        except (ValueError, RuntimeError) as error:
            raise TrainingError(f"cannot draw plates: {error}") from error
        self.shown: Counter[str] = Counter()
        saved = folder.progress()
        self.progress, self._fresh = Progress(**saved or {}), saved is None
        if self.progress.stage != "recognition" and self.progress.best is not None:
            folder.require_best()
        use_our_settings()  # Optimizers and metrics have theirs from Keras, too.
        keras.utils.set_random_seed(settings.seed)
        sizes = (settings.architecture, self.vocabulary.characters, self.vocabulary.slots, settings.procedure)
        forms = TextForms.learned(dataset.texts_of_photographs(), self.vocabulary).examples
        self.replicas = Replicas(self.job, lambda: PlateModel(*sizes, forms=forms))
        if weights is not None and self._at_start():
            self.say(f"starts from {weights}: {take_over(self.replicas.own, load(weights), settings.seed)}")
        self.replicas.share()

    def run(self) -> Figures | None:
        """Train what is left to train of both stages.

        Returns:
            the final figures on the held-out photographs; None in a process that is not the chief.
        """
        model = self.replicas.own
        shared = f", trained on {self.job.shares} devices" if self.job.shares > 1 else ""
        self.say(f"model: {parameters(model):,} parameters, reads {self.vocabulary.characters!r}{shared}")
        if self.maker.undrawable:
            undrawable = "".join(sorted(self.maker.undrawable))
            self.say(f"no font here has {undrawable}: learned from real plates alone (--font names a font)")
        self.record = None
        if self.job.chief:
            board = Board(self.folder.path / "tensorboard")
            gallery = Gallery(board, self.dataset, self.vocabulary)
            self.record = Record(self.settings, self.folder, board, gallery, self.shown)
        try:
            if self.record and self._at_start():
                self._show_batch()
            if self.progress.stage == "recognition":
                self._keep_start()
                self._run_stage()
                self._next_stage(Progress("joint"))
            if self.progress.stage == "joint":
                self._label()
                self._run_stage()
                self._next_stage(replace(self.progress, stage="done"))
            figures = self._finish() if self.record else None
            self.job.agree()  # Nobody leaves while the chief still writes.
            return figures
        except PictureError as error:
            raise TrainingError(
                f"{error}: the data changed during the training; put it back and go on with --resume {self.folder.path}"
            ) from error
        finally:
            if self.record:
                self.record.board.close()

    def _at_start(self) -> bool:
        return self.progress.stage == "recognition" and self.progress.epoch == 0

    def _show_batch(self) -> None:
        """The augmented samples, once, before anything is learned from them."""
        stage = self.settings.joint
        batch = self.maker.joint_batch(0, min(stage.photographs, SHOWN), min(stage.plates, _GLIMPSES_SHOWN), 0.0)
        self.record.gallery.show_training(batch)
        self.record.board.text("data", self.dataset.summary().replace("\n", "\n\n"))

    def _keep_start(self) -> None:
        """Save what the run starts from, or take it from an earlier start: the weights of another model, perhaps."""
        if self._fresh:
            self._save_state(self.replicas.trained.weights)
        elif self._at_start():
            self.folder.load_variables(self.replicas.trained.weights)
            self.job.agree()

    def _next_stage(self, progress: Progress) -> None:
        self.progress = progress
        self._save_state(self.replicas.trained.weights)

    def _save_state(self, variables: list) -> None:
        """Write these variables and the progress for a later resumption; all processes wait until it is done."""
        if self.job.chief:
            self.folder.save_state(variables, asdict(self.progress))
        self.job.agree()

    def _label(self) -> None:
        """Let the model label what stage two is trained on; once, so that a resumed run goes on with the same."""
        mixture = self.settings.mixture
        if not (mixture.self_labelled or mixture.rearranged or mixture.real_letters or mixture.partly):
            return
        path, letters = self.folder.path / OWN_LABELS, self.folder.path / LETTERS
        if self.progress.epoch and not path.exists():  # The weights that it was made with are no more.
            raise TrainingError(f"{path}: is missing; restore it, or start a new run with --weights")
        if self.job.chief and not self.progress.epoch:
            # Saved by the end of stage one: an interruption in between changes nothing, it makes the same anew.
            self.folder.load_variables(self.replicas.own.weights)
            found = label(self.replicas.own, self.dataset, mixture.self_labelled)
            letterforms.save(found.letters, letters)
            found.save(path)
        self.job.agree()
        try:
            own = replace(PseudoLabels.load(path), letters=letterforms.load(letters))
            self.folder.check_own_labels()
        except UserError as error:
            raise TrainingError(str(error)) from error
        looks = sum(map(len, own.letters.values()))
        self.say(
            f"labelled by the model itself: the texts of {len(own.readings)} plates, the tilts of {len(own.tilts)}, "
            f"the characters' places on {len(own.cuts)} plates, the looks of {looks} characters"
        )
        if self.record and not self.progress.epoch:
            for name, letters in own.letters.items():
                if letters:
                    of = f"training/letters {name}".rstrip()
                    self.record.board.pictures(0, of, [letterforms.specimen(letters)])
        self.recipe = replace(self.recipe, own=own)
        self.maker = self.recipe.maker()

    def _run_stage(self) -> None:
        """Train what is left of the stage that the progress names."""
        name = self.progress.stage
        stage = getattr(self.settings, name)
        if not stage.steps:
            return
        for count in (stage.plates, stage.photographs):
            if count % self.job.shares:
                raise TrainingError(
                    f"{name}: {count} per step cannot be shared by {self.job.shares} devices; expected a multiple"
                )
        with self.job.together():
            task = task_of(name, self.replicas.trained, self.settings)
            task.compile(optimizer=make_optimizer(self.settings, stage), jit_compile=COMPILED)
            task.optimizer.build(task.trainable_variables)
            variables = [*self.replicas.trained.weights, *task.optimizer.variables]
            if self.progress.epoch:
                self.folder.load_variables(variables)
                self.say(f"{name}: going on after epoch {self.progress.epoch}")
            elif name == "joint":  # From the end of stage one.
                self.folder.load_variables(self.replicas.trained.weights)
            own_task = task
            if self.replicas.trained is not self.replicas.own:
                with self.job.alone():
                    own_task = task_of(name, self.replicas.own, self.settings)
                    own_task.compile(jit_compile=COMPILED)
            self._fit(task, own_task, variables)
            # What follows starts from the averaged weights.
            task.optimizer.finalize_variable_values(task.trainable_variables)
            self.replicas.take_over()

    def _fit(self, task: keras.Model, own_task: keras.Model, variables: list) -> None:
        """Train a task for the epochs that are left; its variables are saved after each."""
        name = self.progress.stage
        stage = getattr(self.settings, name)
        steps = min(self.settings.epoch_steps, stage.steps)
        first, last = self.progress.epoch, stage.steps // steps
        if first >= last or self.progress.waited >= self.settings.patience:
            return
        plan = BatchPlan.of(self.settings, name)
        end = EpochEnd(
            self.folder.path,
            self.progress,
            self.settings.patience,
            self.replicas,
            own_task,
            Validation(name, stage.evaluators, self.held),
            self.record,
            functools.partial(self._save_state, variables),
            self.say,
        )
        example = plan.batch(self.maker, first * steps)
        span, workers = (first * steps, last * steps), workers_beside()
        self.say(f"{name}: {last - first} epochs of {steps} steps; the first step takes longer, it is compiled")
        with BatchLoader(self.recipe, plan, example, *span, workers=workers, shown=self.shown) as loader:
            try:
                task.fit(
                    loader.batches(),
                    initial_epoch=first,
                    epochs=last,
                    steps_per_epoch=steps,
                    shuffle=False,
                    callbacks=[end],
                    verbose="auto" if self.job.chief else 0,
                )
            except Exception as error:
                raise loader.failure or error from None

    def _finish(self) -> Figures:
        """Take the best model, fit its temperature and what it promises, write it and its figures down."""
        model, path = self.replicas.own, self.folder.path / "best.keras"
        if path.exists():
            model.set_weights(load(path).get_weights())
        finished = finish(model, self.held)
        self.folder.save_model(model, path.name)
        for name, of_set in finished.by_set.items():
            self.say(f"\n{name}, held-out photographs:\n{of_set.table()}")
        self.folder.write_figures(finished.values)
        self.record.board.settings(self.settings.as_dict(), finished.figures.as_dict(), self.progress.epoch)
        self.record.gallery.show_validation(self.progress.epoch + 1, model, finished.photographs, self.shown)
        return finished.figures
