"""represent: features of the training images in a network trained on all of them."""

from __future__ import annotations

from functools import partial

from uvlp.artifacts import features
from uvlp.artifacts.work import Work
from uvlp.core import machine, plugins
from uvlp.core.seeds import derive

REVISION = 1


def run(work: Work) -> None:
    """Write part `network` of `features`: dataset, validation images -> one row per training image.

    Raises:
        UvlpError: images too small for the network, invalid settings, or a loss that is not finite.
    """
    import numpy

    from uvlp.protocols.training.images import Images, LazyPixels, stored
    from uvlp.protocols.training.network_features import network_features

    dataset, settings, seed = work.dataset(), work.task.settings, work.task.facts["seed"]
    protocol, classes = plugins.load("protocols", features.PROTOCOL), len(dataset.manifest.classes)
    protocol.check(features.NETWORK, settings)
    labels = numpy.asarray(dataset.labels("train"))
    rows = network_features(
        protocol.build(features.NETWORK, classes, settings, derive(seed, "represent", "network")),
        features.NETWORK,
        Images(pixels=LazyPixels(partial(dataset.originals, "train"), len(labels)), labels=labels),
        stored(work.input("validation")),
        classes=classes,
        settings=settings,
        seed=derive(seed, "represent"),
        device=machine.device(),
        progress=work.progress,
    )
    features.write(work.folder, {"network": rows})
