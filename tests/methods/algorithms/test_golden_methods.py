"""Every file of the golden data has a test, and every test has its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.methods.algorithms.golden_cases import cases, families

TESTED_IN = {
    "test_golden_alpha.py": "golden_section class_stats fisher_alpha align_scale refine_class cluster_alpha",
    "test_golden_prototypes.py": "lof spherical_kmeans derive_prototypes uvlp_full_chain hubness_helper "
    "dynamic_weights",
    "test_golden_inputs.py": "prompt_ensemble caption_lookup preprocess loader_order save_quantise",
    "test_golden_vlcp.py": "vlcp_tokenizer vlcp_scorer vlcp_text vlcp_kmeans d4m_minibatch long_prompt",
    "test_golden_diffusion.py": "gen_latents latents2img latents2img_sequence",
}
KNOWN = {family: file for file, names in TESTED_IN.items() for family in names.split()}


def test_no_file_is_unknown_or_missing() -> None:
    assert families() == sorted(KNOWN)


@pytest.mark.parametrize("family", sorted(KNOWN))
def test_every_family_has_cases_and_a_test(family: str) -> None:
    assert cases(family)
    assert f'cases("{family}")' in (Path(__file__).parent / KNOWN[family]).read_text(encoding="utf-8")
