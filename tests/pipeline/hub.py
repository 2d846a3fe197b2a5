"""Settings that name the models on the local hub."""

from __future__ import annotations

from tests.fake_hub import commit
from uvlp.recipes.schema import ModelSettings

MODELS = ModelSettings(
    diffusion="some/sd",
    diffusion_revision=commit("a"),
    clip="hf-hub:some/clip",
    llava="some/llava",
    llava_revision=commit("c"),
    dit="some/dit",
    stylegan_xl="some/stylegan-xl",
)
SET = [
    "models.diffusion=some/sd",
    f"models.diffusion_revision={commit('a')}",
    "models.clip=hf-hub:some/clip",
    "models.llava=some/llava",
    f"models.llava_revision={commit('c')}",
]
