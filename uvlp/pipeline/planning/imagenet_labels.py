"""The labels of published class-conditional models: places in the list of the 1,000 ImageNet classes."""

from __future__ import annotations

from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.task import Task
from uvlp.core.errors import UvlpError
from uvlp.core.wording import first_few
from uvlp.datasets.files.class_lists import identities


def imagenet_labels(manifest: DatasetManifest) -> list[int | None]:
    """Return the ImageNet label of every class by its WordNet id; None for other classes."""
    places = {identity: index for index, identity in enumerate(identities("imagenet1k"))}
    return [places.get(info.id) for info in manifest.classes]


def check_labels(task: Task, manifest: DatasetManifest) -> None:
    """Refuse a task with a class-conditional model that does not know all classes of the dataset.

    Raises:
        UvlpError: names the first unknown classes.
    """
    if "labels" not in task.facts:
        return
    known = zip(manifest.classes, task.facts["labels"], strict=True)
    unknown = [info.id for info, label in known if label is None]
    if unknown:
        prior = "stylegan_xl" in task.origins
        model = "StyleGAN-XL" if prior else "the published DiT"
        raise UvlpError(
            f"{task.plugin}: {model} knows only the 1,000 ImageNet classes",
            got=f"{len(unknown)} other classes: {first_few(unknown)}",
            allowed="class folders named by ImageNet's WordNet ids, such as n01440764",
            fix="use the VAE as prior: --set glad.prior=vae"
            if prior
            else "omit the method, or train a small DiT: --profile small",
        )
