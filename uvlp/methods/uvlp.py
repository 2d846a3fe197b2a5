"""UVLP: spherical k-means of fused CLIP image and caption features (methods.md A, as in the notebook).

Steps: global Fisher α, class α, outliers, spherical k-means, cluster α, hubness. A cluster's prototype is the
mean latent of its strongest hubs and the caption of the strongest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from uvlp.recipes.schema import SynthesisSettings
from uvlp.recipes.setting import setting
from uvlp.recipes.variant import variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy

    from uvlp.artifacts.prototypes import Prototype
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.fusion import Pairs, Squares
    from uvlp.methods.algorithms.method_input import ClassData, ClassResult, MethodInput
    from uvlp.methods.algorithms.uvlp_prototypes import ClusteringResult, ClusterPrototype

REVISION = 1
TITLE = "UVLP"
FEATURES = ("images", "texts")
VARIANTS = {
    "alpha=fixed": variant("without the searches for alpha: one fixed value", search="none"),
    "alpha=package": variant("without the search for alpha over all classes", search="package"),
    "no-outliers": variant("without the removal of outliers", contamination=0.0),
    "text=class-name": variant(
        "without captions: the name of the class in the fusion and as prompt", text="class-name"
    ),
    "top-k=1": variant("without the mean over hubs: the latent of the strongest alone", top_k=1),
    "noise=seeded": variant(
        "without the published noise: drawn from the seed", synthesis={"noise": "derived"}
    ),
    "fusion=three-way": variant(
        "without alpha: image, text and latent centred and joined with equal weight", fusion="three-way"
    ),
}
SYNTHESIS = SynthesisSettings(strength=0.75, guidance=10.5)
CAPTIONS = True
FINETUNED = True
TOP_K_BY_IPC = ((10, 6), (20, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `uvlp`."""

    search: str = setting(
        "notebook",
        "α: `notebook` (all three searches), `package` (class and cluster), `none`",
        "methods.md E1, E2",
        choices=("notebook", "package", "none"),
    )
    alpha: float = setting(0.5, "α without a search", "upstream configuration", least=0, most=1)
    prior_weight: float = setting(
        0.6,
        "λ, weight of the priors of the class and cluster α",
        "methods.md A.15",
        least=0,
    )
    text: str = setting(
        "caption",
        "what is fused with an image, and prompts the synthesis: its `caption`, or the `class-name`",
        choices=("caption", "class-name"),
    )
    fusion: str = setting(
        "alpha",
        "`alpha`: image and text weighted by α; `three-way`: image, text and latent with equal weight",
        choices=("alpha", "three-way"),
    )
    contamination: float = setting(
        0.1, "share of outliers removed; 0: none", "methods.md A.15", least=0, most=0.5
    )
    top_k: int = setting(
        0,
        "latents averaged per prototype; 0: 6 up to IPC 10, 3 up to 20, else 1",
        "UVLP README",
        least=0,
    )
    order: str = setting(
        "file",
        "order of the images: `file` (as listed) or `published`",
        "methods.md A.1",
        choices=("file", "published"),
    )


def effective(settings: Settings, ipc: int) -> Settings:
    """The settings with `top_k` resolved, and those of an α that is not searched for, or not used, unset."""
    unused = []
    if settings.fusion == "three-way":
        unused = ["search", "alpha", "prior_weight"]
    elif settings.search == "notebook":
        unused = ["alpha"]
    elif settings.search == "none":
        unused = ["prior_weight"]
    usual = Settings()
    defaults = {name: getattr(usual, name) for name in unused}
    return replace(settings, top_k=settings.top_k or top_k(ipc), **defaults)


def operations(images: float, ipc: int, width: int, latents: int) -> float:
    """Outlier removal and k-means of a class's features (methods.md A.8, A.9)."""
    return 2 * images**2 * width + 10 * 30 * 2 * images * ipc * width


def prototypes(inputs: MethodInput, settings: Settings, progress: Progress) -> Iterator[ClassResult]:
    """Yield the prototypes of each class's clusters, in cluster order.

    Raises:
        UvlpError: a class has fewer images than IPC.
    """
    first = _global_alpha(inputs, settings, progress)
    for data in progress.track(inputs.classes):
        yield _one_class(inputs, data, settings, first)


def _global_alpha(inputs: MethodInput, settings: Settings, progress: Progress) -> float:
    if settings.search != "notebook" or settings.fusion != "alpha":
        return settings.alpha
    from uvlp.methods.algorithms.alpha.global_alpha import global_alpha

    assert inputs.names is not None
    return global_alpha(_EachClass(inputs, settings, progress), inputs.names).alpha


@dataclass(frozen=True, slots=True)
class _EachClass:
    """The features of one class after the other, read again in every pass; 24 bytes per image are kept."""

    inputs: MethodInput
    settings: Settings
    progress: Progress
    squares: dict[int, Squares] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Pairs]:
        from uvlp.methods.algorithms.fusion import Pairs

        for data in self.progress.track(self.inputs.classes, "global α"):
            texts = _texts(self.inputs, data, self.settings)
            pairs = Pairs(data.image, texts, self.squares.get(data.index))
            self.squares[data.index] = pairs.squares
            yield pairs


def _texts(inputs: MethodInput, data: ClassData, settings: Settings) -> numpy.ndarray:
    """Text features float32 [n, D] of a class: of the captions, or the prototype of its name in every row."""
    import numpy

    if settings.text == "caption":
        return data.text
    assert inputs.names is not None
    return numpy.broadcast_to(inputs.names[data.index], data.image.shape)


def _one_class(inputs: MethodInput, data: ClassData, settings: Settings, first: float) -> ClassResult:
    import numpy

    from uvlp.methods.algorithms.alpha.global_alpha import align_rule
    from uvlp.methods.algorithms.fusion import Pairs, three_way
    from uvlp.methods.algorithms.method_input import ClassResult
    from uvlp.methods.algorithms.uvlp_prototypes import derive

    assert inputs.names is not None
    texts = _texts(inputs, data, settings)
    rule = align_rule(Pairs(data.image, texts).mean_similarity())
    with_alpha = settings.fusion == "alpha"
    alpha = _class_alpha(inputs, data, texts, settings, first) if with_alpha else first
    others = numpy.delete(inputs.names, data.index, axis=0)
    result = derive(
        data.image,
        texts,
        data.latents_of,
        name=inputs.names[data.index],
        other_names=others if len(others) else None,
        ipc=inputs.ipc,
        class_alpha=alpha,
        align_weight=rule.align_scale,
        contamination=settings.contamination,
        top_k=settings.top_k or top_k(inputs.ipc),
        seed=inputs.seed,
        prior_weight=settings.prior_weight,
        search=settings.search != "none",
        joined=None if with_alpha else three_way(data.image, texts, data.latents),
    )
    described = [
        _describe(data, settings, slot, prototype, first, alpha)
        for slot, prototype in enumerate(result.prototypes)
    ]
    latents = numpy.stack([prototype.latent for prototype in result.prototypes])
    return ClassResult(latents=latents, prototypes=described, notes=_notes(described, result))


def top_k(ipc: int) -> int:
    """Latents averaged per prototype (UVLP README: 6, 3, 1 at IPC 10, 20, 50)."""
    return next((value for limit, value in TOP_K_BY_IPC if ipc <= limit), 1)


def _class_alpha(
    inputs: MethodInput, data: ClassData, texts: numpy.ndarray, settings: Settings, first: float
) -> float:
    from uvlp.methods.algorithms.alpha.class_alpha import class_alpha, package_class_alpha
    from uvlp.methods.algorithms.alpha.global_alpha import align_rule
    from uvlp.methods.algorithms.fusion import Pairs

    assert inputs.names is not None
    name = inputs.names[data.index]
    if settings.search == "none":
        return first
    if settings.search == "package":
        return package_class_alpha(data.image, texts, name, first)
    rule = align_rule(Pairs(data.image, texts).mean_similarity())
    return class_alpha(
        data.image,
        texts,
        name,
        first,
        align_weight=rule.align_scale,
        prior_weight=settings.prior_weight,
        low=rule.low,
        high=rule.high,
    )


def _describe(
    data: ClassData, settings: Settings, slot: int, prototype: ClusterPrototype, first: float, alpha: float
) -> Prototype:
    from uvlp.artifacts.prototypes import Prototype

    alphas = {
        "global_alpha": first,
        "class_alpha": alpha,
        "cluster_alpha": prototype.alpha.alpha if prototype.alpha else alpha,
    }
    return Prototype(
        class_id=data.id,
        slot=slot,
        text=data.captions[prototype.text_index] if settings.text == "caption" else data.prompt,
        members=tuple(data.rows[index] for index in prototype.members),
        latent_members=tuple(data.rows[index] for index in prototype.selected),
        details={
            **(alphas if settings.fusion == "alpha" else {}),
            "mean_similarity": prototype.mean_similarity,
            "hub_scores": [round(float(score), 6) for score in prototype.scores],
        },
    )


def _notes(described: list[Prototype], result: ClusteringResult) -> dict[str, int]:
    return {
        "outliers left out": int((~result.inliers).sum()),
        "outliers clustered all the same, because too few images were left": result.readmitted,
        "clusters made by splitting others": result.split,
        "empty captions among the text prototypes": sum(not prototype.text for prototype in described),
    }
