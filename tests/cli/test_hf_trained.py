"""``--model hf:FOLDER`` on trained networks: a Llama, a BERT and a ViT in folders of their own."""

import numpy as np
import pytest
import torch

import hf_folders as folders
import nakami as library
from nakami.cli import hf
from nakami.cli._groups import DataOptions, LabelledOptions
from nakami.results import UsageError

STORY = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball."
)


def read(nakami, name, data, *more):
    run = ("xray", "--model", f"hf:{name}", "--data", data, "--dtype", "float64", "--no-page")
    done = nakami(*run, "--inputs", 1, *more)
    assert done.code == 0, done.err
    return library.load(f"nakami-out/{name}/run"), done


def values(function, at):
    """Singular values of a Jacobian by autograd."""
    found = torch.autograd.functional.jacobian(function, at.detach())
    return torch.linalg.svdvals(found.reshape(len(found), -1)).numpy()


@pytest.mark.slow
def test_a_llama_of_stories(nakami, here):
    folders.stories(here / "stories")
    (here / "story.txt").write_text(f"{STORY}\n")
    model, said = hf.load("hf:stories")
    assert said == ""
    tokenizer = folders.hosts.AutoTokenizer.from_pretrained(here / "stories")
    ids = torch.tensor([tokenizer(STORY)["input_ids"]])
    assert tokenizer.decode(ids[0], skip_special_tokens=True) == STORY
    with torch.no_grad(), folders.quiet():
        assert model.eval()(ids, labels=ids).loss < 1.4  # a story as it was trained on
    end = ("--stages", "model.layers.1", "--positions", "last")
    run, _ = read(nakami, "stories", "story.txt", *end)
    assert run.settings["input_names"] == ["line 1: Once upon a time, there was a little..."]
    model = model.double()

    def last(v):
        return model(inputs_embeds=v, output_hidden_states=True).hidden_states[2][0, -1]

    wanted = values(last, model.model.embed_tokens(ids))
    np.testing.assert_allclose(run.spectra[0].values, wanted, rtol=0, atol=1e-5 * wanted[0])


@pytest.mark.slow
def test_a_bert_of_sentences(nakami, here):
    """The sentence vector, the mean over positions, by the words of one sentence."""
    folders.sentences(here / "sentences")
    (here / "text.txt").write_text("A cat sat.\n")
    end = ("--stages", "encoder.layer.2", "--positions", "mean", "--top", 4)
    run, done = read(nakami, "sentences", "text.txt", *end)
    assert "read without its pooler, whose weights the folder lacks" in done.err
    model = hf.load("hf:sentences")[0].double().eval()
    tokenizer = folders.hosts.AutoTokenizer.from_pretrained(here / "sentences")
    ids = torch.tensor([tokenizer("A cat sat.")["input_ids"]])
    assert tokenizer.convert_ids_to_tokens(ids[0])[0] == "[CLS]"

    def mean(v):
        return model(inputs_embeds=v).last_hidden_state[0].mean(0)

    wanted = values(mean, model.embeddings.word_embeddings(ids))[:4]
    np.testing.assert_allclose(run.spectra[0].values, wanted, rtol=1e-4)


def test_a_vit_of_clothes(nakami, here):
    pictures = pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra images)")
    model = folders.clothes(here / "clothes").double()
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    pictures.fromarray(pixels).save("a.png")
    run, done = read(nakami, "clothes", "a.png", "--stages", "output")
    assert "28 x 28 by preprocessor_config.json of clothes" in " ".join(done.out.split())
    x = torch.as_tensor((pixels / 255 - 0.2860) / 0.3530)[None, None]
    torch.testing.assert_close(torch.as_tensor(run.inputs), x.float())
    wanted = values(lambda v: model(v).logits[0], torch.as_tensor(run.inputs).double())
    np.testing.assert_allclose(run.spectra[0].values, wanted, rtol=1e-6)
    assert run.settings["picture"] == {"mean": [0.286], "std": [0.353]}


def test_bytes_and_classes_are_normalised_by_the_folder(here):
    pictures = pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra images)")
    folders.clothes(here / "clothes")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28)).astype(np.uint8)
    wanted = torch.as_tensor((pixels / 255 - 0.2860) / 0.3530).float()
    np.save("bytes.npy", pixels)
    np.save("floats.npy", pixels / 255)
    np.savez("labelled.npz", x=pixels, y=np.arange(4))
    for i, one in enumerate(pixels):
        (here / "classes" / str(i)).mkdir(parents=True)
        pictures.fromarray(one[0]).save(here / "classes" / str(i) / "a.png")
    read = hf.examples("hf:clothes", DataOptions(data=here / "bytes.npy"), 4)
    torch.testing.assert_close(read.inputs, wanted)
    assert (read.unit, read.picture) == ("standardised pixel", {"mean": [0.286], "std": [0.353]})
    plain = hf.examples("hf:clothes", DataOptions(data=here / "floats.npy"), 4)
    torch.testing.assert_close(plain.inputs, torch.as_tensor(pixels / 255).float())
    for name in ("labelled.npz", "classes"):
        options = LabelledOptions(data=here / name)
        found = hf.labelled("hf:clothes", options, n=4, seed=0, inside=False)
        torch.testing.assert_close(found.inputs, wanted[found.targets])
    sized = DataOptions(data=here / "classes", size=28, mode="grey")
    assert hf.examples("hf:clothes", sized, 4) is None
    np.save("three.npy", np.repeat(pixels, 3, 1))
    with pytest.raises(UsageError, match=r"--data must hold pictures of 1 channel, got shape"):
        hf.examples("hf:clothes", DataOptions(data=here / "three.npy"), 4)


def test_an_adapter_is_merged(nakami, here):
    peft = pytest.importorskip("peft", reason="peft is not installed (extra test-all)")
    base = folders.save(folders.gpt2, here / "base")
    (here / "texts.txt").write_text("once upon a time\n")
    asked = peft.LoraConfig(
        r=2, target_modules=["c_attn"], init_lora_weights=False, fan_in_fan_out=True
    )
    with folders.quiet():
        tuned = peft.get_peft_model(base, asked)
        tuned.base_model.model.config._name_or_path = "base"
        tuned.peft_config["default"].base_model_name_or_path = "base"
        tuned.save_pretrained(here / "adapter")
    run, done = read(nakami, "adapter", "texts.txt", "--stages", "output")
    assert "its adapter is merged into the weights of base" in done.err
    tuned = tuned.double().eval()
    table = tuned.get_input_embeddings()(torch.tensor([[4, 5, 6, 7]]))
    wanted = values(lambda v: tuned(inputs_embeds=v).logits.flatten(), table)
    np.testing.assert_allclose(run.spectra[0].values, wanted, rtol=0, atol=1e-6 * wanted[0])
    with tuned.disable_adapter():
        base = values(lambda v: tuned(inputs_embeds=v).logits.flatten(), table)
    assert abs(base[0] - wanted[0]) > 1e-3 * wanted[0]


def test_an_adapter_without_its_base(nakami, here):
    (here / "adapter").mkdir()
    (here / "adapter" / "adapter_config.json").write_text(
        '{"base_model_name_or_path": "meta-llama/Llama-2-7b-hf"}'
    )
    done = nakami("stages", "--model", "hf:adapter", "--data", ".")
    assert done.code == 2
    said = " ".join(done.err.split())
    assert "must name in base_model_name_or_path a folder on this machine" in said
    assert "got 'meta-llama/Llama-2-7b-hf'" in said
