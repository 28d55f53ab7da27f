"""Tiny checkpoints of several families, made with Hugging Face's own classes and saved to disk."""

from pathlib import Path

import pytest
import torch
import transformers

SIZES = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 64,
}
T5_SIZES = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2}
BERT_SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}


def tiny_checkpoint(kind: str, tokenizer):
    """A random network of ``kind``, with Hugging Face's own classes, for ``tokenizer``."""
    torch.manual_seed(7)
    size = len(tokenizer)
    special = {"pad_token_id": tokenizer.pad_token_id, "vocab_size": size}
    if kind.startswith("t5"):
        spare = 60 if kind == "t5-spare" else 0
        config = transformers.T5Config(**{**T5_SIZES, **special, "vocab_size": size + spare})
        config.scale_decoder_outputs = kind != "t5-untied"
        config.decoder_start_token_id = tokenizer.pad_token_id
        network = transformers.T5ForConditionalGeneration(config)
        if kind == "t5-untied":
            network.lm_head.weight = torch.nn.Parameter(torch.randn(size, 16))
        return network
    if kind == "mt5":
        config = transformers.MT5Config(**T5_SIZES, **special, feed_forward_proj="gated-gelu")
        network = transformers.MT5ForConditionalGeneration(config)
        network.lm_head.weight = torch.nn.Parameter(torch.randn(size, 16))
        return network
    if kind == "bart":
        network = transformers.BartForConditionalGeneration(transformers.BartConfig(**SIZES, **special))
        network.final_logits_bias.normal_()
        return network
    if kind == "mbart":
        return transformers.MBartForConditionalGeneration(transformers.MBartConfig(**SIZES, **special))
    if kind == "bert":
        return transformers.BertModel(transformers.BertConfig(**BERT_SIZES, **special))
    if kind == "roberta":
        return transformers.RobertaModel(transformers.RobertaConfig(**BERT_SIZES, **special))
    if kind == "distilbert":
        sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 64}
        return transformers.DistilBertModel(transformers.DistilBertConfig(**sizes, **special))
    part = kind.split("2")[0]
    classes = {
        "bert": (transformers.BertModel, transformers.BertLMHeadModel, transformers.BertConfig),
        "roberta": (transformers.RobertaModel, transformers.RobertaForCausalLM, transformers.RobertaConfig),
    }
    encoder, decoder, config = classes[part]
    network = transformers.EncoderDecoderModel(
        encoder=encoder(config(**BERT_SIZES, **special)),
        decoder=decoder(config(**BERT_SIZES, **special, is_decoder=True, add_cross_attention=True)),
    )
    network.config.decoder_start_token_id = tokenizer.cls_token_id
    network.config.pad_token_id = tokenizer.pad_token_id
    return network


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, build_tokenizer):
    """The function that gives the folder of a checkpoint of a kind, network and tokenizer in it."""
    made = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            names = {"distilbert": "bert", "bert2bert": "bert", "roberta2roberta": "roberta"}
            tokenizer = build_tokenizer(names.get(kind, kind.split("-")[0]))
            made[kind] = tmp_path_factory.mktemp(kind)
            tiny_checkpoint(kind, tokenizer).save_pretrained(made[kind])
            tokenizer.save_pretrained(made[kind])
        return made[kind]

    return folder


@pytest.fixture(scope="session")
def build_checkpoint():
    """The function that makes a random network of a kind for a tokenizer."""
    return tiny_checkpoint
