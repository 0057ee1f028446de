"""Words by a network in the place of mixtures: on made speakers, on files, resumed, opened."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from nakami import data, recipes
from nakami.report.page._kinds import page_of
from nakami.results import UsageError, read_record, training_report

pytest.importorskip("kaldi_native_fbank", reason="features come with the extra speech")
pytest.importorskip("jiwer", reason="word errors come with the extra speech")

RECIPE = recipes.SUBJECTS["speech-digits"]
SMALL = replace(
    RECIPE.settings,
    hidden=(24, 16),
    states=3,
    pretrain_epochs=1,
    finetune_epochs=2,
    realign_epochs=1,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four words by three speakers, a folder of WAV files for each word."""
    path = tmp_path_factory.mktemp("words")
    made = data.spoken_words(90, 3, seed=2)
    for i, (word, speaker) in enumerate(zip(made.labels.tolist(), made.speakers, strict=True)):
        if word < 4:
            file = path / made.classes[word] / f"{speaker[-1]}ann_{i}.wav"
            file.parent.mkdir(exist_ok=True)
            wavfile.write(file, made.rate, (made.signal(i) * 20000).numpy().astype(np.int16))
    return path


def test_a_folder_of_words_is_trained_on_and_the_last_speaker_tested(folder, tmp_path):
    options = {"data": folder, "settings": SMALL, "n_inputs": 2, "pictures": True}
    subject = recipes.prepare("speech-digits", tmp_path / "out", **options)
    assert [network.name for network in subject.networks] == ["random", "pretrained", "realigned"]
    assert subject.examples.inputs.shape == (2, 11, 39)
    assert all("2ann_" in name for name in subject.examples.names)
    for network in subject.networks:
        assert network.model(subject.examples.inputs).shape == (2, 4 * 3 + 1)
        labels = [fact["label"] for fact in network.facts]
        assert labels[0] == "word error"
        assert "12 recordings" in network.facts[0]["spread_kind"]
    report = training_report(read_record(tmp_path / "out"))
    assert "without those of 2ann" in report.source
    assert [section.id for section in page_of(report).sections] == ["losses", "facts", "pictures"]
    titles = [picture.title for picture in report.pictures]
    assert "Alignment of a test recording" in titles
    assert "Words spoken and words heard" in titles


def test_files_to_test_on_have_the_same_rate_and_options_of_pictures_are_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="size must be left out with recordings"):
        RECIPE.examples(recipes.DataFiles(folder, size=28))
    (tmp_path / "ai").mkdir()
    wavfile.write(tmp_path / "ai" / "x_0.wav", 16000, np.ones(3000, np.float32))
    with pytest.raises(UsageError, match=r"test must have the sampling rate .* 8000 Hz, got 16000"):
        RECIPE.examples(recipes.DataFiles(folder, tmp_path))
    with pytest.raises(UsageError, match="data must hold recordings"):
        RECIPE.examples(recipes.DataFiles(tmp_path / "ai" / "x_0.wav"))


def test_an_error_over_speakers_is_that_of_their_means_and_of_the_bootstrap():
    from nakami.recipes._speech import error_over

    g = torch.Generator().manual_seed(0)
    speakers = torch.arange(200) % 5
    wrong = (torch.rand(200, generator=g) < 0.1 + 0.1 * speakers).double()
    means = torch.stack([wrong[speakers == s].mean() for s in range(5)])
    assert error_over(wrong, speakers) == pytest.approx(float(means.std()) / 5**0.5)
    who = torch.multinomial(torch.rand(30, generator=g), 900, True, generator=g)
    wrong = (torch.rand(900, generator=g) < torch.rand(30, generator=g)[who]).double()
    n = torch.bincount(who, minlength=30).double()
    total = torch.zeros(30).double().index_add(0, who, wrong)
    drawn = torch.randint(30, (4000, 30), generator=g)
    repeats = total[drawn].sum(1) / n[drawn].sum(1)
    assert error_over(wrong, who) == pytest.approx(float(repeats.std()), rel=0.1)


@pytest.mark.parametrize("known", [True, False])
def test_what_is_tested_on_is_not_in_the_normalisation_of_what_is_trained_on(tmp_path, known):
    made, file = data.spoken_words(40, 2, seed=3), recipes.DataFiles(tmp_path / "x.npz")
    arrays = {"audio": made.audio, "offsets": made.offsets, "labels": made.labels}
    arrays |= {"speakers": np.array(made.speakers)} if known else {}
    np.savez(file.path, **arrays)
    before, test = RECIPE.examples(file)
    audio = made.audio.clone()
    for row in (int(name.split()[1]) for name in test.names):
        audio[made.offsets[row] : made.offsets[row + 1]] *= 3
    np.savez(file.path, **(arrays | {"audio": audio}))
    after, _ = RECIPE.examples(file)
    assert torch.equal(after.inputs["features"], before.inputs["features"])
    assert len(test.inputs["speaker"].unique()) == 1


def test_speakers_that_are_not_known_leave_a_random_tenth(folder, tmp_path):
    made = data.spoken_words(40, 1, seed=3)
    arrays = {"audio": made.audio, "offsets": made.offsets, "labels": made.labels}
    np.savez(tmp_path / "x.npz", **arrays)
    train, test = RECIPE.examples(recipes.DataFiles(tmp_path / "x.npz"))
    assert (len(train), len(test)) == (36, 4)
    train, test = RECIPE.examples(recipes.DataFiles(tmp_path / "x.npz", tmp_path / "x.npz"))
    assert (len(train), len(test)) == (40, 40)
    assert test.inputs["frames"].tolist() == train.inputs["frames"].tolist()
