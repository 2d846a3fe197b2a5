"""Golden data of VLCP and D4M: vlcp_tokenizer, vlcp_scorer, vlcp_text, vlcp_kmeans, d4m_minibatch,
long_prompt."""

from __future__ import annotations

from types import SimpleNamespace

import numpy
import pytest
import torch

from tests.methods.algorithms.golden_cases import Case, golden
from tests.tolerances import rounding
from uvlp.methods.algorithms.clustering.latent_kmeans import latent_clusters
from uvlp.methods.algorithms.clustering.minibatch_kmeans import fit_sizes, streamed_centres
from uvlp.methods.algorithms.typical_captions import (
    STOP_WORDS,
    best_caption,
    choose,
    common_words,
    tokens,
    words,
)
from uvlp.models.sampling.prompts import PromptEncoder, pair_ids, states


@golden("vlcp_tokenizer")
def test_tokenizer(case: Case) -> None:
    assert tokens(case["in.text"]) == case["out.tokens"].tolist()
    assert words(case["in.text"]) == case["out.words"].tolist()


def test_there_are_as_many_stop_words_as_documented() -> None:
    assert len(STOP_WORDS) == 153


@golden("vlcp_scorer")
def test_scorer(case: Case) -> None:
    counts = dict(zip(case["in.words"].tolist(), case["in.weights"].tolist(), strict=True))
    sentences = case["in.sentences"].tolist()
    best, score = best_caption(sentences, counts)
    assert ("" if best is None else sentences[best]) == case["out.best"]
    assert score == case["out.score"]


@golden("vlcp_text")
def test_text_prototypes(case: Case) -> None:
    assert len(case["in.classes"])
    for index in range(len(case["in.classes"])):
        given, wanted = f"in.class{index}.", f"out.class{index}."
        captions = case[given + "captions"].tolist()
        result = choose(
            captions,
            case[given + "labels"].tolist(),
            case[given + "class_string"],
            case["in.threshold"],
            case["in.tpk"],
            case["in.n_clusters"],
        )
        common = common_words([words(caption) for caption in captions], case["in.threshold"])
        assert sorted(common) == case[wanted + "common_words"].tolist()
        assert [text.text for text in result] == case[wanted + "text_prototypes"].tolist()
        assert [text.score for text in result] == case[wanted + "scores"].tolist()
        indices = [-1 if text.index is None else text.index for text in result]
        assert indices == case[wanted + "chosen_index"].tolist()
        ranked = ["|".join(f"{word}:{count}" for word, count in text.words) for text in result]
        assert ranked == case[wanted + "topwords"].tolist()


@golden("vlcp_kmeans")
def test_latent_kmeans(case: Case) -> None:
    for index in numpy.unique(case["in.class_of"]).tolist():
        rows = case["in.order"][case["in.class_of"][case["in.order"]] == index]
        wanted = f"out.class{index}."
        result = latent_clusters(
            case["in.latents"][rows], case["in.ipc"], case["in.contamination"], case["in.seed"]
        )
        assert rows[result.inliers].tolist() == case[wanted + "kept_index"].tolist()
        pairs = sorted(set(zip(result.labels.tolist(), case[wanted + "labels"].tolist(), strict=True)))
        assert len(pairs) == case["in.ipc"], "the partitions differ"
        match = [reference for _, reference in pairs]
        kept = case["in.latents"][rows[result.inliers]].astype(numpy.float64)
        bound = rounding(len(kept) + 1, torch.float64, largest=abs(kept).max())
        numpy.testing.assert_allclose(result.centres, case[wanted + "centers"][match], rtol=0, atol=bound)
        # Prototypes are stored in float32, and the reference's in float16: ties round the same way.
        halves = result.centres.astype(numpy.float32).astype(numpy.float16)
        numpy.testing.assert_array_equal(halves, case[wanted + "centers_f16"][match])
        inertia = ((kept - result.centres[result.labels]) ** 2).sum()
        assert inertia == pytest.approx(case[wanted + "inertia"], rel=rounding(kept.size + 3, torch.float64))


@golden("d4m_minibatch")
def test_streamed_centres(case: Case) -> None:
    order, classes = case["in.order"], case["in.class_of"]
    clusters, expand = case["in.ipc"], case["in.km_expand"]
    for index in numpy.unique(classes).tolist():
        rows = order[classes[order] == index]
        last = classes[order[-1]] == index
        wanted = case[f"out.class{index}.partial_fit_sizes"].tolist()
        batch = clusters * expand
        assert fit_sizes(len(rows), batch, clusters if last else batch) == wanted
        centres = streamed_centres(
            case["in.latents"][rows], clusters, expand, seed=0, flush=last, smallest_partial=clusters
        )
        stored = case[f"out.class{index}.prototypes"]
        # Running means in float32, one after another over the images of the class.
        bound = rounding(2 * len(rows), largest=float(abs(stored).max()))
        numpy.testing.assert_allclose(centres, stored.reshape(clusters, -1), rtol=0, atol=bound)


@pytest.fixture(scope="module")
def clip_tokenizer():
    """CLIP's tokenizer, built from open_clip's vocabulary."""
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPTokenizer

    simple = SimpleTokenizer()
    renamed = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {renamed.get(word, word): index for word, index in simple.encoder.items()}
    merges = sorted(simple.bpe_ranks, key=simple.bpe_ranks.get)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


SINE = rounding(4, largest=200.0)
"""Of a sine whose argument reaches 200: two products and a sum before it, and its own."""


class StubEncoder:
    """e_k = sin(0.001(k+1)·id + 0.1(k+1)·position), positions restarting in each block (golden README)."""

    config = SimpleNamespace(hidden_size=4)
    device, dtype = torch.device("cpu"), torch.float32

    def __call__(self, ids: torch.Tensor) -> SimpleNamespace:
        k = torch.arange(1, 5, dtype=torch.float32)
        positions = torch.arange(ids.shape[1], dtype=torch.float32)
        # Same order of operations as the golden data: arguments reach 200, where float32 rounds at 1e-5.
        states = torch.sin((0.001 * ids.float())[..., None] * k + (0.1 * positions)[..., None] * k)
        return SimpleNamespace(last_hidden_state=states)


@golden("long_prompt")
def test_long_prompt(case: Case, clip_tokenizer) -> None:
    """Ids and states equal the reference's, also from the prompt encoder of the synthesis."""
    encoder = StubEncoder()

    def tokenize(text: str) -> list[int]:
        return clip_tokenizer(text, truncation=False, verbose=False).input_ids

    pad = clip_tokenizer.pad_token_id
    pair = pair_ids(case["in.prompt"], case["in.negative"], tokenize, pad, equalise=False)
    blocks = [[len(ids[start : start + 77]) for start in range(0, len(ids), 77)] for ids in pair]
    assert [list(ids) for ids in pair] == [case["out.prompt_ids"].tolist(), case["out.negative_ids"].tolist()]
    assert blocks == [case["out.chunk_lengths"].tolist(), case["out.neg_chunk_lengths"].tolist()]
    for ids, name in zip(pair, ("prompt", "negative"), strict=True):
        result = states([ids], lambda part: encoder(part).last_hidden_state)
        numpy.testing.assert_allclose(result[0], case[f"out.{name}_embeds"], rtol=0, atol=SINE)
    assert (len(pair[0]) == len(pair[1])) == case["out.shapes_equal"]
    parts = SimpleNamespace(tokenizer=clip_tokenizer, text_encoder=encoder)
    made = PromptEncoder(parts, case["in.negative"], long=True).embed([case["in.prompt"]])
    assert made.mask is None and made.positive.shape == made.negative.shape
    numpy.testing.assert_allclose(
        made.positive[0, : len(pair[0])], case["out.prompt_embeds"], rtol=0, atol=SINE
    )
    if case["out.shapes_equal"]:
        numpy.testing.assert_allclose(made.negative[0], case["out.negative_embeds"], rtol=0, atol=SINE)
