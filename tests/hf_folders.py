"""Folders of Hugging Face: tiny random ones, and trained ones from the weights in NAKAMI_DATA."""

import json
import os
from pathlib import Path

import pytest
import torch

hosts = pytest.importorskip("transformers", reason="transformers is not installed (extra hf)")
from safetensors.torch import load_file  # noqa: E402
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers  # noqa: E402
from tokenizers import processors as after  # noqa: E402

from nakami.cli.hf._folder import quiet  # noqa: E402

KINDS = 11
SIZES = {"vocab_size": KINDS, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
MORE = {"intermediate_size": 12, "max_position_embeddings": 16}
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "once", "upon", "a", "time", "there", "was", "cat")


def gpt2():
    config = hosts.GPT2Config(
        vocab_size=KINDS, n_embd=8, n_layer=2, n_head=2, n_positions=16, bos_token_id=2,
        eos_token_id=3,
    )  # fmt: skip
    return hosts.GPT2LMHeadModel(config)


def llama():
    config = hosts.LlamaConfig(
        **SIZES, **MORE, num_key_value_heads=1, bos_token_id=2, eos_token_id=3
    )
    return hosts.LlamaForCausalLM(config)


def bert():
    return hosts.BertForMaskedLM(hosts.BertConfig(**SIZES, **MORE))


def classifier():
    return hosts.BertForSequenceClassification(hosts.BertConfig(**SIZES, **MORE, num_labels=3))


def t5():
    config = hosts.T5Config(
        vocab_size=KINDS, d_model=8, d_kv=4, d_ff=12, num_layers=2, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    return hosts.T5ForConditionalGeneration(config)


def vit():
    config = hosts.ViTConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=6,
        image_size=8, patch_size=4, num_channels=1, num_labels=3,
    )  # fmt: skip
    return hosts.ViTForImageClassification(config)


def save(make, folder, words=True):
    """A tiny random network in a folder, with a tokenizer of ``WORDS``."""
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():  # weights begin near zero, and so do all derivatives
        for p in model.parameters():
            p.mul_(8 if p.ndim > 1 else 1)
    _write(model, folder)
    if words:
        tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, "[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        _write_tokenizer(tokenizer, folder, pad_token="[PAD]", unk_token="[UNK]")
    return model


def _write(model, folder):
    with quiet():
        model.save_pretrained(folder)


def _write_tokenizer(tokenizer, folder, **about):
    tokenizer.save(str(folder / "tokenizer.json"))
    about["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(about))


def weights(name):
    path = Path(os.environ.get("NAKAMI_DATA", "")) / "transformer-weights" / name
    if not path.is_file():
        pytest.skip(f"{name} is not in NAKAMI_DATA/transformer-weights")
    return path


def stories(folder):
    """stories260K, a Llama that tells stories."""
    state = load_file(weights("stories260k.safetensors"))
    config = hosts.LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=172, num_hidden_layers=5,
        num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=512,
        rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = hosts.LlamaForCausalLM(config)
    halves = {}
    for name, w in state.items():  # rotary pairs (2i, 2i+1) become (i, i + half)
        if "q_proj" in name or "k_proj" in name:
            w = w.view(len(w) // 8, 4, 2, 64).transpose(1, 2).reshape(len(w), 64)
        halves[name] = w
    missing = model.load_state_dict(halves, strict=False).missing_keys
    assert set(missing) <= {"lm_head.weight"}
    model.tie_weights()
    _write(model, folder)
    _write_tokenizer(_sentencepiece(), folder, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    return model.eval()


def _sentencepiece():
    pieces = json.loads(weights("stories260k_vocab.json").read_text())["pieces"]
    pieces = [p.strip("\n") if 0 < i < 3 else p.replace(" ", "▁") for i, p in enumerate(pieces)]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = [
        (p[:i], p[i:])
        for p in pieces[259:]
        for i in range(1, len(p))
        if p[:i] in vocab and p[i:] in vocab
    ]
    tokenizer = Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.post_processor = after.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def sentences(folder):
    """paraphrase-MiniLM-L3, a BERT of sentences."""
    state = load_file(weights("paraphrase_minilm_l3.fp16.safetensors"))
    config = hosts.BertConfig(
        vocab_size=10067, hidden_size=384, num_hidden_layers=3, num_attention_heads=12,
        intermediate_size=1536, layer_norm_eps=1e-12,
    )  # fmt: skip
    model = hosts.BertModel(config, add_pooling_layer=False)
    model.load_state_dict(state)
    _write(model, folder)
    lines = weights("paraphrase_minilm_l3_vocab.txt").read_text(encoding="utf-8").split("\n")
    vocab = {line: i for i, line in enumerate(lines[: config.vocab_size])}
    from tokenizers.implementations import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(vocab)
    _write_tokenizer(
        tokenizer._tokenizer, folder, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip
    return model.eval()


def clothes(folder):
    """A ViT trained on Fashion-MNIST, with the rule by which its pictures are normalised."""
    state = load_file(weights("vit_fashion.safetensors"))
    config = hosts.ViTConfig(
        hidden_size=64, num_hidden_layers=4, num_attention_heads=4, intermediate_size=128,
        image_size=28, patch_size=4, num_channels=1, num_labels=10, layer_norm_eps=1e-5,
    )  # fmt: skip
    model = hosts.ViTForImageClassification(config)
    made = {
        "vit.embeddings.cls_token": state["cls"],
        "vit.embeddings.position_embeddings": state["pos"],
        **{f"vit.embeddings.patch_embeddings.projection.{n}": state[f"patch.{n}"] for n in PARTS},
        **{f"vit.layernorm.{n}": state[f"norm.{n}"] for n in PARTS},
        **{f"classifier.{n}": state[f"head.{n}"] for n in PARTS},
    }
    for i in range(4):
        made |= _layer(state, f"encoder.layers.{i}", f"vit.layers.{i}")
    model.load_state_dict(made)
    _write(model, folder)
    about = {
        "image_processor_type": "ViTImageProcessor", "size": {"height": 28, "width": 28},
        "image_mean": [0.2860], "image_std": [0.3530],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return model.eval()


PARTS = ("weight", "bias")
PLACES = {
    "self_attn.out_proj": "attention.o_proj", "linear1": "mlp.fc1", "linear2": "mlp.fc2",
    "norm1": "layernorm_before", "norm2": "layernorm_after",
}  # fmt: skip


def _layer(state, old, new):
    made = {f"{new}.{b}.{n}": state[f"{old}.{a}.{n}"] for a, b in PLACES.items() for n in PARTS}
    for n in PARTS:
        three = state[f"{old}.self_attn.in_proj_{n}"].chunk(3)
        made |= {f"{new}.attention.{k}_proj.{n}": w for k, w in zip("qkv", three, strict=True)}
    return made
