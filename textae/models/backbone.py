"""A Hugging Face sequence-to-sequence network, from a configuration or a checkpoint.

Everything above this file sees three calls: ``encode``, ``decode`` and ``logits``.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSeq2SeqLM,
    BertConfig,
    BertLMHeadModel,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    PreTrainedModel,
)
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from textae.data.tokenizer import Vocabulary
from textae.errors import InputError, nearest, reason
from textae.model_config import NetworkConfig
from textae.models.precision import at_least_float32

# Special tokens around a text, a start token, a length hint, and what some families add to a position.
EXTRA_POSITIONS = 8
# The same quantity has another name in each family; the first that a configuration has is set.
_SIZES: dict[str, list[tuple[str, ...]]] = {
    "width": [("d_model",)],
    "layers": [("encoder_layers", "decoder_layers"), ("num_layers", "num_decoder_layers")],
    "heads": [("encoder_attention_heads", "decoder_attention_heads"), ("num_heads",)],
    "feed_forward": [("encoder_ffn_dim", "decoder_ffn_dim"), ("d_ff",)],
    "dropout": [("dropout",), ("dropout_rate",)],
}
# These scale the decoder's states when embeddings are tied, and keep no field that says so.
_SCALED_WHEN_TIED = ("umt5", "switch_transformers")
# Kept in a saved configuration: the network's output head has weights of its own. The T5 family
# claims tied embeddings for every checkpoint, whatever its weights are.
_OWN_HEAD = "textae_own_head"


def scratch_configuration(config: NetworkConfig, vocabulary: Vocabulary, max_positions: int) -> Any:
    """Hugging Face configuration of a network from scratch.

    Raises:
        InputError: if the architecture is unknown or is no encoder-decoder, or an override is no
            field of it.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES

    known = list(MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
    if config.architecture not in known:
        hint = nearest(config.architecture, known)
        raise InputError(
            f'"{config.architecture}" is no encoder-decoder architecture of transformers{hint or "."}'
        )
    network = AutoConfig.for_model(config.architecture)
    for name, alternatives in _SIZES.items():
        found = next((names for names in alternatives if hasattr(network, names[0])), ())
        if not found:
            raise InputError(
                f'architecture "{config.architecture}" has no size "{name}"; use t5, bart or mbart.'
            )
        for attribute in found:
            setattr(network, attribute, getattr(config, name))
    if hasattr(network, "d_kv"):
        network.d_kv = config.width // config.heads
    if hasattr(network, "max_position_embeddings"):
        network.max_position_embeddings = max_positions
    for field, value in config.overrides.items():
        if not hasattr(network, field):
            hint = nearest(field, network.to_dict())
            raise InputError(
                f'overrides: a {config.architecture} network has no field "{field}"{hint or "."}'
            )
        setattr(network, field, value)
    network.vocab_size = len(vocabulary)
    network.pad_token_id, network.bos_token_id = vocabulary.pad, vocabulary.start
    network.eos_token_id, network.decoder_start_token_id = vocabulary.end, vocabulary.start
    network.forced_eos_token_id = None
    return network


def build_network(config: NetworkConfig, vocabulary: Vocabulary, max_positions: int) -> PreTrainedModel:
    """Build a network from scratch, or load a checkpoint (encoder-decoder, or BERT-like encoder).

    An encoder-only checkpoint gets a fresh decoder of ``config.layers`` layers that starts with
    the checkpoint's word embeddings.

    Raises:
        InputError: if the checkpoint cannot be loaded or has no weights.
    """
    if config.checkpoint is None:
        return AutoModelForSeq2SeqLM.from_config(scratch_configuration(config, vocabulary, max_positions))
    try:
        found = AutoConfig.from_pretrained(config.checkpoint, trust_remote_code=False)
        if found.is_encoder_decoder:
            network = AutoModelForSeq2SeqLM.from_pretrained(
                config.checkpoint, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
            for part in _parts(network):
                _fit_vocabulary(part, len(vocabulary))
        else:
            network = _around_encoder(config, vocabulary, max_positions)
    except Exception as error:  # a damaged checkpoint makes transformers raise whatever it meets
        raise InputError(
            f"{config.checkpoint}: no network can be loaded from there ({reason(error)})."
        ) from error
    return network


def _around_encoder(config: NetworkConfig, vocabulary: Vocabulary, max_positions: int) -> EncoderDecoderModel:
    encoder = AutoModel.from_pretrained(
        config.checkpoint, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
    )
    _fit_vocabulary(encoder, len(vocabulary))
    known = encoder.get_input_embeddings().weight
    decoder_config = BertConfig(
        vocab_size=known.shape[0],
        hidden_size=known.shape[1],
        num_hidden_layers=config.layers,
        num_attention_heads=encoder.config.num_attention_heads,
        intermediate_size=4 * known.shape[1],
        max_position_embeddings=max_positions,
        is_decoder=True,
        add_cross_attention=True,
        pad_token_id=vocabulary.pad,
    )
    decoder = BertLMHeadModel(decoder_config)
    decoder.get_input_embeddings().weight.data.copy_(known.data)
    network = EncoderDecoderModel(encoder=encoder, decoder=decoder)
    network.config.decoder_start_token_id = vocabulary.start
    network.config.pad_token_id, network.config.eos_token_id = vocabulary.pad, vocabulary.end
    return network


def network_from_dict(values: dict[str, Any]) -> PreTrainedModel:
    """Rebuild the (untrained) network whose ``config.to_dict()`` was saved as ``values``."""
    values = dict(values)
    model_type = values.pop("model_type")
    if model_type == "encoder-decoder":
        network = EncoderDecoderModel(config=EncoderDecoderConfig(**values))
    else:
        network = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(model_type, **values))
    for part in _parts(network):
        if getattr(part.config, _OWN_HEAD, False):
            _give_own_head(part)
    return network


def _parts(network: PreTrainedModel) -> list[PreTrainedModel]:
    """The networks inside ``network`` that have embeddings of their own."""
    return [network.encoder, network.decoder] if isinstance(network, EncoderDecoderModel) else [network]


def _give_own_head(network: PreTrainedModel) -> None:
    network.set_output_embeddings(copy.deepcopy(network.get_output_embeddings()))
    setattr(network.config, _OWN_HEAD, True)


def _fit_vocabulary(network: PreTrainedModel, size: int) -> None:
    """Give ``network`` exactly ``size`` embeddings; checkpoints may have spare ones, or too few."""
    head, known = network.get_output_embeddings(), network.get_input_embeddings()
    trained = None if head is None or head.weight is known.weight else head.weight.detach().clone()
    if known.num_embeddings != size:
        # mean_resizing draws from a covariance of the whole vocabulary: slow, and of no use to hints.
        network.resize_token_embeddings(size, mean_resizing=False)
    if trained is not None:
        # Resizing ties the head to the embeddings when the configuration says so, and loses it.
        _give_own_head(network)
        rows = min(size, len(trained))
        network.get_output_embeddings().weight.data[:rows] = trained[:rows]


class Backbone(nn.Module):
    """An encoder-decoder network cut at its decoder's last states, where a copy head can join.

    Shapes: B documents of S tokens, N = B * K decoder rows of T tokens, width W, vocabulary V.
    """

    def __init__(self, network: PreTrainedModel):
        super().__init__()
        self.network = network
        self.is_composite = isinstance(network, EncoderDecoderModel)
        if self.is_composite and getattr(network.encoder, "pooler", None) is not None:
            # Nothing reads the pooled state, and a parameter without gradient stops distributed training.
            network.encoder.pooler = None

    @property
    def width(self) -> int:
        """Width W of the decoder's states."""
        return int(self.network.get_decoder().config.hidden_size)

    @property
    def positions(self) -> int | None:
        """Most tokens that fit into encoder and decoder, special ones included; None for any number."""
        configs = [part.config for part in _parts(self.network)]
        limits = [getattr(config, "max_position_embeddings", None) for config in configs]
        return min((limit for limit in limits if limit is not None), default=None)

    def encode(
        self, ids: torch.Tensor, mask: torch.Tensor, embedded: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Token ids (B, S) and mask (B, S) to states (B, S, W).

        ``embedded`` (B, S, E) stands for the tokens' embeddings, if given; see :meth:`encoder_embeddings`.
        """
        encoder = self.network.get_encoder()
        with _embedded_as(encoder.get_input_embeddings(), embedded):
            states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.is_composite and hasattr(self.network, "enc_to_dec_proj"):
            states = self.network.enc_to_dec_proj(states)
        return states

    def decode(
        self,
        inputs: torch.Tensor,
        states: torch.Tensor,
        states_mask: torch.Tensor,
        cache: EncoderDecoderCache | None = None,
        embedded: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Decoder inputs (N, T), source states (N, S, W) and mask (N, S) to decoder states (N, T, W).

        With a ``cache``, ``inputs`` holds only the tokens that came since the last call. ``embedded``
        (N, T, E) stands for the inputs' embeddings, if given; see :meth:`decoder_embeddings`.
        """
        decoder = self._decoder
        with _embedded_as(decoder.get_input_embeddings(), embedded):
            return decoder(
                input_ids=inputs,
                encoder_hidden_states=states,
                encoder_attention_mask=states_mask,
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state

    @property
    def _decoder(self) -> Any:
        decoder = self.network.get_decoder()
        return decoder.base_model if self.is_composite else decoder

    def encoder_embeddings(self) -> torch.Tensor:
        """What :meth:`encode` makes of each token of the vocabulary (V, E), with gradients."""
        return _all_rows(self.network.get_encoder().get_input_embeddings())

    def decoder_embeddings(self) -> torch.Tensor:
        """What :meth:`decode` makes of each token of the vocabulary (V, E), with gradients."""
        return _all_rows(self._decoder.get_input_embeddings())

    def new_cache(self) -> EncoderDecoderCache:
        """An empty key/value cache for :meth:`decode`."""
        return EncoderDecoderCache(DynamicCache(), DynamicCache())

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Decoder states (..., W) to vocabulary logits (..., V) in float32."""
        network = self.network
        if self.is_composite:
            decoder = network.decoder
            head = decoder.cls if hasattr(decoder, "cls") else decoder.lm_head
            return at_least_float32(head(states))
        config = network.config
        scaled_when_tied = config.model_type in _SCALED_WHEN_TIED and config.tie_word_embeddings
        if getattr(config, "scale_decoder_outputs", scaled_when_tied):
            states = states * config.d_model**-0.5
        logits = at_least_float32(network.get_output_embeddings()(states))
        bias = getattr(network, "final_logits_bias", None)
        return logits if bias is None else logits + bias[0]


def positions_for(longest: int) -> int:
    """Positions of a network from scratch for texts of up to ``longest`` tokens.

    Noise lengthens a text, and special tokens stand around every one.
    """
    return 2 * longest + 16


def check_positions(backbone: Backbone, longest: int) -> None:
    """Refuse a network that has too few positions for texts of ``longest`` tokens.

    Raises:
        InputError: with the most that ``data.max_document_tokens`` can be.
    """
    limit = backbone.positions
    if limit is not None and longest + EXTRA_POSITIONS > limit:
        raise InputError(
            f"Texts of up to {longest} tokens are asked for, but a network has {limit} positions; "
            f"set data.max_document_tokens to at most {limit - EXTRA_POSITIONS}."
        )


def _all_rows(embedding: nn.Embedding) -> torch.Tensor:
    # Not the weight itself: some families scale it on its way.
    return embedding(torch.arange(embedding.num_embeddings, device=embedding.weight.device))


@contextmanager
def _embedded_as(embedding: nn.Module, embedded: torch.Tensor | None) -> Iterator[None]:
    """Let ``embedding`` answer with ``embedded``, whatever it is asked; None changes nothing.

    The ``inputs_embeds`` of transformers would not do: families differ in what they scale there.
    """
    if embedded is None:
        yield
        return
    handle = embedding.register_forward_hook(lambda *_: embedded)
    try:
        yield
    finally:
        handle.remove()
