"""Several data sets trained on together: equal shares, and nothing that one of them holds out is taught by another."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lpr_e2e import cli
from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.photographs import DRAWN
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.dataset import DataSource, load
from lpr_e2e.data.labels import LabelOptions
from lpr_e2e.data.split import same_plate_key
from lpr_e2e.data.together import load_all
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.scenes import write_demo
from lpr_e2e.training.batches import BatchMaker
from lpr_e2e.training.plate_sources import ECHO_STEPS, ECHOES
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.recipe import BatchRecipe
from lpr_e2e.training.run_folder import RunFolder
from lpr_e2e.training.settings import Settings
from lpr_e2e.training.trainer import Training, training_vocabulary

BRITISH = ("AB12CDE", "FG34HJK", "LM56NPR")


@pytest.fixture(scope="module")
def british(tmp_path_factory):
    """A small set of other plates; its pictures have the names that those of `tiny_data` have."""
    folder = tmp_path_factory.mktemp("sets") / "british"
    write_demo(folder, photographs=6, crops=6, test=2, validation=2, seed=5, like=BRITISH)
    return folder


@pytest.fixture(scope="module")
def source(tiny_data, british):
    return DataSource(tiny_data, further=(british,))


@pytest.fixture(scope="module")
def dataset(source):
    return load_all(source)


def copy_of(folder, to):
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns(".lpr_e2e_cache"))
    return to


def test_all_pictures_of_all_sets_are_there_under_names_of_their_own(dataset, source, tiny_data):
    alone = {path.name: load(DataSource(path)).dataset for path in (source.path, *source.further)}
    assert set(dataset.by_set()) == set(alone) and len(alone) == 2
    for name, part in dataset.by_set().items():
        one = alone[name]
        assert part.img_ids("photographs") == {f"{name}/{img_id}" for img_id in one.img_ids("photographs")}
        assert part.training_texts() == one.training_texts()
        assert len(part.validation_photographs) == len(one.validation_photographs)
    ids = [one.img_id for _, _, one in dataset.pictures()]
    assert len([*dataset.photographs, *dataset.validation_photographs]) == len(
        {one.img_id for one in [*dataset.photographs, *dataset.validation_photographs]}
    )
    assert len(ids) == sum(len(list(one.pictures())) for one in alone.values())


def test_one_set_is_as_it_was(tiny_data):
    assert load_all(DataSource(tiny_data)) == load(DataSource(tiny_data)).dataset


def test_what_one_set_holds_out_no_other_teaches(tiny_data, tmp_path):
    """The same pictures once more, of which others are held out."""
    other, alone = copy_of(tiny_data, tmp_path / "other"), load(DataSource(tiny_data)).dataset
    held_there = next(one for one in alone.photographs if one.plates[0].text)
    row = pd.DataFrame([[held_there.img_id, *held_there.plates[0].box_px, held_there.plates[0].text]])
    columns = ["img_id", "ymin", "xmin", "ymax", "xmax", "text"]
    row.to_csv(other / "validation.csv", index=False, header=columns)
    dataset = load_all(DataSource(tiny_data, further=(other,)))
    name, trained_on = tiny_data.name, {one.img_id for one in dataset.photographs}
    assert f"{name}/{held_there.img_id}" not in trained_on
    assert not {f"other/{one.img_id}" for one in alone.validation_photographs} & trained_on
    assert {one.origin for one in dataset.photographs} == {name, "other"}
    assert not {same_plate_key(text) for text in dataset.training_texts()} & dataset.withheld
    left_out = Counter(one.kind for one in dataset.problems)["held out or excluded by another set"]
    assert left_out > len(alone.validation_photographs)


def forms_known(source, settings, run):
    """Whether a training knows the form of the first set's texts, and that of British ones, before its first step."""
    dataset = load_all(source)
    model = Training(settings, dataset, RunFolder(run), say=lambda line: None).replicas.own
    return model.text_forms.fits("A123BC"), model.text_forms.fits(BRITISH[0]), dataset


@pytest.fixture(scope="module")
def russian(tmp_path_factory):
    """A small set of plates of one form, another one than the British."""
    folder = tmp_path_factory.mktemp("sets") / "russian"
    write_demo(folder, photographs=6, crops=6, test=1, validation=2, seed=6, like=("A123BC", "E456HK"), two_lines=0)
    return folder


@pytest.mark.parametrize("named", ["folder", "table"])
def test_forms_that_were_only_drawn_are_not_known(russian, british, tiny_settings, tmp_path, named):
    taken = copy_of(russian, tmp_path / "taken")
    (taken / DRAWN).unlink()  # As if somebody had taken them with a camera.
    drawn = british if named == "folder" else copy_of(british, tmp_path / "british") / "validation.csv"
    source = DataSource(taken, further=(british,))
    ours, theirs, dataset = forms_known(source, tiny_settings, tmp_path / "run")
    assert ours and not theirs and dataset.drawn_sets == {"british"}
    assert set(dataset.texts_of_photographs()) < set(dataset.training_texts())
    assert any("british: drawn, so that a reading" in note for note in dataset.notes)
    assert training_vocabulary(dataset, "", False).spells(BRITISH[0])  # They are learned all the same.
    # Of a table beside photographs and crops of the same names, somebody has to say which are meant.
    options = LabelOptions(pictures=(drawn.parent / "license_plates_detection_train",) if named == "table" else ())
    assert load(DataSource(drawn, options)).dataset.drawn_sets == {""}


def test_copies_of_a_drawn_set_are_drawn_and_those_of_others_are_not(russian, tmp_path):
    taken = copy_of(russian, tmp_path / "taken")
    (taken / DRAWN).unlink()
    for set_, known in ((russian, {""}), (taken, frozenset())):
        copies = [tmp_path / f"{set_.name}_{way}" for way in ("imported", "fixed")]
        assert cli.main(["import", "auto", str(set_), str(copies[0])]) == 0
        assert cli.main(["check", str(set_), "--fix", str(copies[1])]) == 0
        assert [load(DataSource(copy)).dataset.drawn_sets for copy in copies] == [known, known]


def test_of_drawn_sets_alone_and_of_photographs_alone_all_forms_are_known(russian, british, tiny_settings, tmp_path):
    assert forms_known(DataSource(russian, further=(british,)), tiny_settings, tmp_path / "drawn")[:2] == (True, True)
    taken = [copy_of(folder, tmp_path / folder.name) for folder in (russian, british)]
    for folder in taken:
        (folder / DRAWN).unlink()
    ours, theirs, dataset = forms_known(DataSource(taken[0], further=(taken[1],)), tiny_settings, tmp_path / "run")
    assert ours and theirs and not dataset.drawn_sets
    assert not any("drawn, so that" in note for note in dataset.notes)


def test_a_text_is_held_out_in_whatever_script_a_set_writes_it(tmp_path):
    latin, other = tmp_path / "latin", tmp_path / "cyrillic"
    write_demo(latin, photographs=6, crops=6, test=1, validation=2, seed=6, like=("A123BC", "E456HK"))
    write_demo(other, photographs=6, crops=6, test=1, validation=2, seed=7, like=("А123ВС", "Е456НК"))
    held = load(DataSource(latin)).dataset.validation_photographs[0].plates[0].text
    cyrillic = held.translate(str.maketrans("ABCEHKMOPTXY", "АВСЕНКМОРТХУ"))
    table = other / "license_plates_recognition_train.csv"
    trained_on = load(DataSource(other)).dataset.crops[-1].img_id
    lines = table.read_text(encoding="utf-8").splitlines()
    lines = [f"{trained_on},{cyrillic}" if line.startswith(f"{trained_on},") else line for line in lines]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert cyrillic != held and cyrillic in load(DataSource(other)).dataset.training_texts()
    assert cyrillic not in load_all(DataSource(latin, further=(other,))).training_texts()


def test_characters_that_look_the_same_are_named(tmp_path, british):
    write_demo(tmp_path / "cyrillic", photographs=6, crops=6, test=1, validation=2, seed=6, like=("А123ВС", "Е456НК"))
    dataset = load_all(DataSource(british, further=(tmp_path / "cyrillic",)))
    (note,) = [note for note in dataset.notes if "looks the same" in note]
    assert "B В" in note or "A А" in note


def test_a_set_of_which_nothing_is_left_is_named(tiny_data, tmp_path):
    """The other one is the same, and holds all of its texts out."""
    other = copy_of(tiny_data, tmp_path / "other")
    dataset = load(DataSource(tiny_data)).dataset
    rows = [
        (one.img_id, *plate.box_px, plate.text) for one in dataset.photographs[1:] for plate in one.plates if plate.text
    ]
    held = pd.read_csv(other / "validation.csv")
    rows = pd.DataFrame(rows, columns=held.columns)
    pd.concat([held, rows]).to_csv(other / "validation.csv", index=False)
    crops = pd.read_csv(tiny_data / "license_plates_recognition_train.csv")
    kept = crops[crops["text"].isin(set(rows["text"]))]
    mine = copy_of(tiny_data, tmp_path / "mine")
    kept.to_csv(mine / "license_plates_recognition_train.csv", index=False)
    with pytest.raises(UserError, match=r"mine: no plate, or no text, is left"):
        load_all(DataSource(mine, further=(other,)))


def test_sets_without_anything_in_common_lose_nothing(dataset):
    assert "held out or excluded by another set" not in {one.kind for one in dataset.problems}


def test_a_list_to_exclude_names_the_set(source, british, tmp_path):
    crop = next(one for one in load(DataSource(british)).dataset.crops)
    exclude = tmp_path / "exclude.csv"
    exclude.write_text(f"img_id\nbritish/{crop.img_id}\n")
    dataset = load_all(replace(source, exclude=exclude))
    before = load_all(source)
    assert crop.text not in dataset.training_texts() and crop.text in before.training_texts()
    gone = before.img_ids("crops") - dataset.img_ids("crops")
    assert f"british/{crop.img_id}" in gone and all(one.startswith("british/") for one in gone)
    exclude.write_text(f"img_id\n{crop.img_id}\n")
    with pytest.raises(UserError, match=r"exclude\.csv, row 2.*SET/IMG_ID.*british"):
        load_all(replace(source, exclude=exclude))


@pytest.mark.parametrize("name", ["validation", "no_plates"])
def test_what_is_about_one_set_is_refused(source, tmp_path, name):
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')}: is about one data set"):
        load_all(replace(source, options=LabelOptions(**{name: tmp_path})))


def test_a_set_named_twice_is_refused(tiny_data):
    with pytest.raises(UserError, match="named twice"):
        DataSource(tiny_data, further=(tiny_data / ".." / tiny_data.name,))


def test_sets_of_one_name_are_told_apart(tiny_data, british, tmp_path):
    other = copy_of(british, tmp_path / tiny_data.name)
    assert list(load_all(DataSource(tiny_data, further=(other,))).by_set()) == [tiny_data.name, f"{tiny_data.name}-2"]


def test_a_run_finds_all_of_them_again(source):
    assert DataSource.from_config(source.as_config(), source.seed).further == tuple(
        path.resolve() for path in source.further
    )
    assert DataSource.from_config(replace(source, further=()).as_config(), 0).further == ()


class TestMoved:
    def test_sets_keep_their_names_where_they_are_now(self, source, dataset, tiny_data, british, tmp_path):
        known = DataSource.from_config(source.as_config(), source.seed)
        now = known.moved([copy_of(tiny_data, tmp_path / "a"), copy_of(british, tmp_path / "b")])
        again = load_all(now)
        assert list(again.by_set()) == list(dataset.by_set())
        assert {one.img_id for _, _, one in again.pictures()} == {one.img_id for _, _, one in dataset.pictures()}
        assert all(tmp_path in one.path.parents for _, _, one in again.pictures())

    def test_what_was_named_within_moves_along_and_what_was_elsewhere_stays(self, tmp_path):
        options = LabelOptions(validation=tmp_path / "old" / "held.csv", no_plates=tmp_path / "elsewhere")
        source = DataSource(tmp_path / "old", options, exclude=tmp_path / "old" / "leave_out.csv")
        now = source.moved([tmp_path / "new"])
        assert now.path == tmp_path / "new" and now.exclude == tmp_path / "new" / "leave_out.csv"
        assert now.options.validation == tmp_path / "new" / "held.csv"
        assert now.options.no_plates == tmp_path / "elsewhere"

    def test_beside_a_label_file_all_moves_along(self, tmp_path):
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "plates.csv").touch()
        options = LabelOptions(pictures=(tmp_path / "old" / "photographs",))
        now = DataSource(tmp_path / "old" / "plates.csv", options).moved([tmp_path / "new" / "plates.csv"])
        assert now.options.pictures == (tmp_path / "new" / "photographs",)

    def test_a_set_within_another_one_keeps_its_own(self, tmp_path):
        options = LabelOptions(pictures=(tmp_path / "all" / "inner" / "photographs",))
        source = DataSource(tmp_path / "all", options, further=(tmp_path / "all" / "inner",))
        assert source.moved([tmp_path / "a", tmp_path / "b"]).options.pictures == (tmp_path / "b" / "photographs",)

    def test_other_numbers_of_sets_are_refused(self, source, tmp_path):
        with pytest.raises(UserError, match="--data: 1 folder; expected where each of"):
            source.moved([tmp_path])

    def test_a_run_goes_on_where_its_data_are_now(self, tiny_data, tiny_settings, tmp_path, monkeypatch):
        data = copy_of(tiny_data, tmp_path / "old")
        run, dataset = RunFolder(tmp_path / "run"), load(DataSource(data)).dataset
        run.start(tiny_settings, DataSource(data), dataset, training_vocabulary(dataset, unseen=True))
        data = data.rename(tmp_path / "new")
        trained = []

        class Stopped:
            def __init__(self, settings, dataset, *_, **__):
                trained.append(dataset)

            def run(self):
                return None

        monkeypatch.setattr("lpr_e2e.training.trainer.Training", Stopped)
        assert cli.main(["train", "--resume", str(run.path)]) == 2
        assert cli.main(["train", "--resume", str(run.path), "--data", str(data)]) == 0
        assert trained[0].photographs[0].path.is_relative_to(data)
        assert run.config()["data"] == str(data.resolve())
        assert cli.main(["train", "--resume", str(run.path)]) == 0  # It is written down.

    def test_other_data_are_noticed(self, tiny_data, british, tiny_settings, tmp_path, capsys):
        run, dataset = RunFolder(tmp_path / "run"), load(DataSource(tiny_data)).dataset
        run.start(tiny_settings, DataSource(tiny_data), dataset, training_vocabulary(dataset, unseen=True))
        assert cli.main(["train", "--resume", str(run.path), "--data", str(british)]) == 2
        assert "the data changed since the run started" in capsys.readouterr().err
        assert run.config()["data"] == str(tiny_data.resolve())


class TestBatches:
    @pytest.fixture
    def maker(self, dataset, tiny_settings):
        return recipe_of(dataset, tiny_settings).maker()

    def test_each_set_has_an_equal_share_of_both_kinds_of_samples(self, maker, monkeypatch):
        taken: Counter[tuple[str, str]] = Counter()
        for name, one in maker.sets.items():
            for kind in ("plate", "photograph"):
                made = getattr(one, kind)

                def counted(*args, made=made, name=name, kind=kind):
                    taken[name, kind] += 1
                    return made(*args)

                monkeypatch.setattr(one, kind, counted)
        for step in range(6):
            maker.joint_batch(step, 4, 4, 0.0)
        assert set(taken.values()) == {12} and len(taken) == 4

    def test_every_photograph_of_a_set_is_seen_before_one_is_seen_again(self, maker):
        seen: dict[str, list[str]] = {name: [] for name in maker.sets}
        for name, one in maker.sets.items():
            made = one._photograph

            def noted(photograph, *args, made=made, name=name):
                seen[name].append(photograph.img_id)
                return made(photograph, *args)

            one._photograph = noted
        for step in range(8):
            maker.joint_batch(step, 4, 2, 0.0)
        for name, one in maker.sets.items():
            count = len(one.photographs)
            assert sorted(seen[name][:count]) == sorted(photograph.img_id for photograph in one.photographs)

    def test_parts_make_together_what_one_makes(self, dataset, tiny_settings):
        recipe = recipe_of(dataset, tiny_settings)
        whole = recipe.maker().joint_batch(3, 5, 7, 0.5)
        parts = [recipe.maker(worker, 2).joint_batch(3, 5, 7, 0.5) for worker in range(2)]
        for name, values in whole.items():
            np.testing.assert_array_equal(values, np.concatenate([part[name] for part in parts]))

    def test_drawn_plates_are_each_like_those_of_their_set(self, maker):
        british = maker.sets["british"].painter
        others = next(one.painter for name, one in maker.sets.items() if name != "british")
        assert others.tunisian and not british.tunisian
        for seed in range(20):
            text = british.sample_text(np.random.default_rng(seed))
            assert len(text) == 7 and text[:2].isalpha() and text[2:4].isdigit()

    def test_letters_go_to_their_own_set_alone(self, dataset, tiny_settings, monkeypatch):
        own = PseudoLabels(letters={"british": {"A": [np.full((72, 40), 255, "uint8")]}})
        given = {}

        class Painter(PlatePainter):
            def __init__(self, texts, *arguments, letters=None, **options):
                given[texts[0]] = letters
                super().__init__(texts, *arguments, letters=letters, **options)

        monkeypatch.setattr("lpr_e2e.training.recipe.PlatePainter", Painter)
        replace(recipe_of(dataset, tiny_settings), own=own).maker()
        parts = dataset.by_set()
        assert len(given) == len(parts) == 2
        for name, part in parts.items():
            assert bool(given[part.training_texts()[0]]) == (name == "british")

    @pytest.mark.parametrize("count", [2, 3, 4, 5, 9])
    def test_every_batch_has_equal_shares(self, count):
        """As equal as they can be; and what is left over goes round."""
        makers = {str(number): Counted() for number in range(count)}
        maker = BatchMaker(makers)
        for step in range(3 * count * ECHOES * ECHO_STEPS // 8):
            before = [one.plates for one in makers.values()]
            maker.plates(1, 8 * step, 10)
            taken = [one.plates - earlier for one, earlier in zip(makers.values(), before, strict=True)]
            assert max(taken) - min(taken) <= 1 + (10 % count > 1)
        shares = [one.plates for one in makers.values()]
        assert max(shares) < 1.25 * min(shares)


class Counted:
    """Stands in for the samples of a set."""

    def __init__(self):
        self.plates = self.seed = 0
        self.vocabulary, self.architecture = Vocabulary("01", 2), Architecture()

    def plate(self, *_):
        self.plates += 1
        return {"glimpses": 0, "glimpse_classes": 0, "glimpse_places": 0}, "plate"


def recipe_of(dataset, settings: Settings) -> BatchRecipe:
    return BatchRecipe(
        dataset, training_vocabulary(dataset), settings.architecture, settings.procedure, settings.mixture, 0
    )


def test_a_training_gives_figures_of_each_set(dataset, source, tiny_settings, tmp_path, eagerly):
    run, said = RunFolder(tmp_path / "run"), []
    run.start(tiny_settings, source, dataset, training_vocabulary(dataset, unseen=True))
    figures = Training(tiny_settings, dataset, run, say=said.append).run()
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    names = list(dataset.by_set())
    for name in names:
        assert f"validation end to end/plates_right/{name}" in history.columns
    written = pd.read_json(tmp_path / "run" / "figures.json", typ="series")["by data set"]
    assert list(written) == names and sum(one["plates"] for one in written.values()) == figures.plates
    assert run.config()["data"] == [str(path.resolve()) for path in (source.path, *source.further)]
    assert any("british, held-out photographs" in line for line in said)
