"""Event files, read by tensorboard itself, also those of a process that was killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
from PIL import Image

from uvlp.pipeline.runs.tracker import Described
from uvlp.pipeline.runs.trackers.tensorboard import open_tracker

RUN = Described(
    id="0a1b2c3d",
    resumed=False,
    title="random scored by convnet-3, seed 0",
    group="digits-ipc1",
    stage="evaluate",
    config={"recipe": {"dataset": "digits", "ä": 1}},
)


def test_curves_pictures_and_recipe_are_read_before_the_run_is_closed(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    picture = tmp_path / "picture.png"
    Image.fromarray(numpy.zeros((3, 5, 3), dtype=numpy.uint8)).save(picture)
    tracker = open_tracker(tmp_path / "logs", offline=True)
    first = tracker.begin(RUN)
    first.log(1, {"loss": 2.5, "accuracy_pct": 10.0})
    first.log(2, {"loss": 2.0})
    first.picture("images", picture, 2)
    # The first process was killed here: its file is not closed.
    second = tracker.begin(replace(RUN, resumed=True))
    second.log(3, {"loss": 1.5})
    folder = tmp_path / "logs" / "tensorboard" / "digits-ipc1" / "random-scored-by-convnet-3-seed-0-0a1b2c3d"
    found = EventAccumulator(str(folder)).Reload()
    assert [(each.step, each.value) for each in found.Scalars("loss")] == [(1, 2.5), (2, 2.0), (3, 1.5)]
    assert [(each.step, each.value) for each in found.Scalars("accuracy_pct")] == [(1, 10.0)]
    [image] = found.Images("images")
    assert (image.width, image.height, image.step) == (5, 3, 2)
    assert image.encoded_image_string == picture.read_bytes()
    [recipe] = found.Tensors("recipe/text_summary")
    assert '"ä": 1' in recipe.tensor_proto.string_val[0].decode()
    assert str(tmp_path / "logs" / "tensorboard") in tracker.where
    first.close()
    second.close()
