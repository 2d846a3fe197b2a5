"""UVLP's prototypes of one class: outliers, clusters, cluster α, hubness (methods.md A.8 to A.11).

Symbols: N images of the class, D embedding width, K = images per class; α_c class α, α_k cluster α; hubness
h_i = (Σ_j f_i·f_j − 1) / (n − 1) of member i among the n unit rows f of its cluster.
Arrays are numpy; features are float32 [N, D] from the embedder. Only the latents that are averaged are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy
from numpy.typing import ArrayLike, NDArray

from uvlp.core.errors import too_few_images
from uvlp.methods.algorithms.alpha.cluster_alpha import ClusterAlpha, ClusterContext, cluster_alpha
from uvlp.methods.algorithms.alpha.nearest_names import OtherNames
from uvlp.methods.algorithms.clustering.cluster_fill import split_to_fill
from uvlp.methods.algorithms.clustering.outliers import find_outliers, readmit
from uvlp.methods.algorithms.clustering.spherical_kmeans import spherical_kmeans
from uvlp.methods.algorithms.fusion import Features, Pairs, fuse, unit

Fill = Literal["split", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class ClusterPrototype:
    """A prototype and its origin. All indices refer to the class's N images.

    Attributes:
        cluster: label of its cluster.
        members: indices of the cluster's images, ascending.
        scores: hubness of each member, float32.
        selected: indices of the members whose latents were averaged, best first.
        latent: image prototype, float32 [4, h, w].
        alpha: α_k with its terms and weights; None if the class α was used.
        centre: centre of the cluster from k-means, float32 [D].
        mean_similarity: mean image-caption cosine of the members.
    """

    cluster: int
    members: NDArray[numpy.intp]
    scores: Features
    selected: tuple[int, ...]
    latent: NDArray[numpy.float32]
    alpha: ClusterAlpha | None
    centre: Features
    mean_similarity: float

    @property
    def text_index(self) -> int:
        """Index of the image whose caption is the text prototype: the strongest hub."""
        return self.selected[0]


@dataclass(frozen=True, slots=True, eq=False)
class ClusteringResult:
    """The prototypes of a class in cluster order, with intermediate results.

    Attributes:
        prototypes: one per non-empty cluster.
        inliers: bool [N], the images that were clustered.
        readmitted: number of outliers that were clustered because fewer than K images were left.
        split: number of clusters made by splitting others.
    """

    prototypes: tuple[ClusterPrototype, ...]
    inliers: NDArray[numpy.bool_]
    readmitted: int
    split: int


def derive(
    images: ArrayLike,
    texts: ArrayLike,
    read_latents: Callable[[Sequence[int]], NDArray[numpy.floating]],
    *,
    name: ArrayLike | None,
    other_names: ArrayLike | None,
    ipc: int,
    class_alpha: float,
    align_weight: float,
    contamination: float = 0.1,
    top_k: int = 6,
    seed: int = 0,
    prior_weight: float = 0.6,
    fill: Fill = "split",
    search: bool = True,
    joined: Features | None = None,
) -> ClusteringResult:
    """Derive the prototypes of one class.

    Args:
        images, texts: CLIP features [N, D] in visiting order, which affects the initial draws of k-means.
        read_latents: the VAE latents [n, 4, h, w] of some of the images, by their indices.
        name: class-name prototype τ_c [D].
        other_names: prototypes of the other classes [C − 1, D]; None for a single class.
        ipc: K.
        class_alpha: α_c.
        align_weight: align_scale of the class (A.6).
        contamination: share of outliers removed, 0 for none.
        top_k: members averaged into the image prototype.
        seed: seed of k-means, the same for every class in the reference.
        prior_weight: λ, weight of the prior α_c on α_k.
        fill: `split` makes exactly K prototypes; `none` as the reference: fewer, without empty clusters.
        search: whether to search α_k; else α_k = α_c.
        joined: unit rows [N, E] to cluster instead of images and texts fused by α; no α is then searched.

    Raises:
        UvlpError: the class has no images, or fewer than ``ipc`` with ``fill="split"``.
    """
    pairs = Pairs(images, texts)
    fewest = ipc if fill == "split" else 1
    if len(pairs) < fewest:
        raise too_few_images(len(pairs), fewest)
    fused = fuse(pairs.images, pairs.texts, class_alpha) if joined is None else joined
    outliers = find_outliers(fused, contamination)
    inliers = readmit(outliers, fewest)
    kept = numpy.flatnonzero(inliers)
    labels, centres, split = _cluster(fused[kept], min(ipc, len(kept)), seed, fill)
    search_alpha = partial(
        cluster_alpha, prior=class_alpha, align_weight=align_weight, prior_weight=prior_weight
    )
    prototypes = []
    for cluster, context in _contexts(fused[kept], labels, name, other_names).items():
        members = kept[labels == cluster]
        chosen = pairs.subset(members)
        alpha = search_alpha(chosen, context) if search and joined is None else None
        weight = alpha.alpha if alpha else class_alpha
        rows = fuse(chosen.images, chosen.texts, weight) if joined is None else joined[members]
        scores = hub_scores(rows)
        prototypes.append(
            _prototype(cluster, members, scores, read_latents, top_k, chosen, alpha, centres[cluster])
        )
    readmitted = int((inliers & ~outliers.inliers).sum())
    return ClusteringResult(tuple(prototypes), inliers, readmitted, split)


def _prototype(
    cluster: int,
    members: NDArray[numpy.intp],
    scores: Features,
    read_latents: Callable[[Sequence[int]], NDArray[numpy.floating]],
    top_k: int,
    chosen: Pairs,
    alpha: ClusterAlpha | None,
    centre: Features,
) -> ClusterPrototype:
    """The cluster's strongest hubs and the mean of their latents (methods.md A.11)."""
    selected: list[int] = members[best_members(scores, top_k)].tolist()
    return ClusterPrototype(
        cluster=cluster,
        members=members,
        scores=scores,
        selected=tuple(selected),
        latent=image_prototype(read_latents(selected)),
        alpha=alpha,
        centre=centre,
        mean_similarity=chosen.mean_similarity(),
    )


def _cluster(
    fused: Features, clusters: int, seed: int, fill: Fill
) -> tuple[NDArray[numpy.int32], Features, int]:
    """Return labels, centres and the number of clusters made by splitting."""
    result = spherical_kmeans(fused, clusters, numpy.random.RandomState(seed))
    if fill == "none":
        return result.labels, result.centres, 0
    labels = split_to_fill(fused, result.labels, clusters)
    empty = numpy.setdiff1d(labels, result.labels)
    centres = result.centres.copy()
    for cluster in numpy.unique(result.labels[labels != result.labels]).tolist() + empty.tolist():
        centres[cluster] = unit(fused[labels == cluster].mean(axis=0))
    return labels, centres, len(empty)


def _contexts(
    fused: Features, labels: NDArray[numpy.int32], name: ArrayLike | None, other_names: ArrayLike | None
) -> dict[int, ClusterContext]:
    """The context of each non-empty cluster: class names and the centres of the other clusters."""
    present: Sequence[int] = numpy.unique(labels).tolist()
    means = [fused[labels == cluster].mean(axis=0, dtype=numpy.float64) for cluster in present]
    centres = unit(numpy.stack(means))
    own = None if name is None else numpy.asarray(name, dtype=numpy.float32)
    others = None if other_names is None else OtherNames(numpy.asarray(other_names, dtype=numpy.float32))
    return {
        cluster: ClusterContext(own, others, numpy.delete(centres, position, axis=0))
        for position, cluster in enumerate(present)
    }


TIE = 1e-6
"""Scores this close are ties, resolved by the lowest index; in the reference rounding decides (E17)."""


def hub_scores(fused: Features) -> Features:
    """h of each unit row, float32 [n]; a single member scores 1."""
    count = len(fused)
    if count == 1:
        return numpy.ones(1, dtype=numpy.float32)
    return (fused @ fused.sum(axis=0) - numpy.float32(1.0)) / numpy.float32(count - 1)


def best_members(scores: Features, count: int) -> list[int]:
    """Indices of the ``count`` highest scores (all if there are fewer), best first, ties by index."""
    remaining = list(range(len(scores)))
    chosen: list[int] = []
    while remaining and len(chosen) < max(1, count):
        best = max(scores[position] for position in remaining)
        pick = next(position for position in remaining if scores[position] >= best - TIE)
        remaining.remove(pick)
        chosen.append(pick)
    return chosen


def image_prototype(latents: NDArray[numpy.floating]) -> NDArray[numpy.float32]:
    """Mean in float32 of the chosen latents [n, 4, h, w]; its variance is not restored (E52)."""
    return latents.mean(axis=0, dtype=numpy.float32)
