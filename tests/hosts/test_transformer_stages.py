"""Stages read of transformers when none are named: the residual stream after each block."""

import pytest
import torch

import nakami

hosts = pytest.importorskip("transformers", reason="transformers is not installed (extra hf)")
pytestmark = pytest.mark.slow
SIZES = {
    "vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 12, "max_position_embeddings": 16, "pad_token_id": 0, "bos_token_id": 2,
    "eos_token_id": 3,
}  # fmt: skip
GROUPED = {**SIZES, "num_key_value_heads": 1}
PAIR = {
    "vocab_size": 11, "d_model": 8, "encoder_layers": 2, "decoder_layers": 2, "pad_token_id": 0,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 12,
    "decoder_ffn_dim": 12, "max_position_embeddings": 16, "decoder_start_token_id": 2,
}  # fmt: skip
PICTURES = {
    "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
    "image_size": 32, "patch_size": 16,
}  # fmt: skip
SMALL = {"vocab_size": 11, "hidden_size": 8}
TEXTS = {  # class: settings, where the blocks are
    "RobertaForMaskedLM": (SIZES, "roberta.encoder.layer"),
    "ElectraForPreTraining": ({**SIZES, "embedding_size": 8}, "electra.encoder.layer"),
    "DebertaV2ForSequenceClassification": (SIZES, "deberta.encoder.layer"),
    "ModernBertForMaskedLM": (
        {**SIZES, "cls_token_id": 2, "sep_token_id": 3}, "model.layers"),
    "DistilBertForSequenceClassification": (
        {"vocab_size": 11, "dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12},
        "distilbert.transformer.layer"),
    "MistralForCausalLM": (GROUPED, "model.layers"),
    "Qwen2ForCausalLM": (GROUPED, "model.layers"),
    "Gemma2ForCausalLM": ({**GROUPED, "head_dim": 4}, "model.layers"),
    "Phi3ForCausalLM": ({**SIZES, "num_key_value_heads": 2}, "model.layers"),
    "MixtralForCausalLM": ({**GROUPED, "num_local_experts": 2}, "model.layers"),
    "GPTNeoXForCausalLM": (SIZES, "gpt_neox.layers"),
    "OPTForCausalLM": (
        {**SIZES, "ffn_dim": 12, "word_embed_proj_dim": 8}, "model.decoder.layers"),
    "BloomForCausalLM": ({**SMALL, "n_layer": 2, "n_head": 2}, "transformer.h"),
    "FalconForCausalLM": (
        {**SMALL, "num_hidden_layers": 2, "num_attention_heads": 2}, "transformer.h"),
    "MambaForCausalLM": ({**SMALL, "num_hidden_layers": 2, "state_size": 4}, "backbone.layers"),
    "XLNetLMHeadModel": (
        {"vocab_size": 11, "d_model": 8, "n_layer": 2, "n_head": 2, "d_inner": 12},
        "transformer.layer"),
    "BartForConditionalGeneration": (PAIR, "model.decoder.layers"),
    "MarianMTModel": (PAIR, "model.encoder.layers"),
    "DeiTForImageClassification": (PICTURES, "deit.layers"),
    "Dinov2ForImageClassification": (PICTURES, "dinov2.encoder.layer"),
    "CLIPVisionModel": (PICTURES, "encoder.layers"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_the_residual_stream_is_read(name):
    settings, stem = TEXTS[name]
    kind = getattr(hosts, name)
    torch.manual_seed(0)
    model = kind(kind.config_class(**settings)).eval()
    x = {"input_ids": torch.tensor([[4, 5, 6, 7]])}
    if settings is PICTURES:
        x = {"pixel_values": torch.randn(1, 3, 32, 32)}
    elif settings is PAIR:
        x["decoder_input_ids"] = torch.tensor([[2, 4]])
    found = nakami.stages(model, x)
    assert {f"{stem}.0", f"{stem}.1"} <= set(found.auto)
    assert not any(name.startswith((f"{stem}.0.", f"{stem}.1.")) for name in found.auto)
    assert found.find(f"{stem}.1").shape[-1] == 8
