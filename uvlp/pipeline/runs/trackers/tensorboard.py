"""tensorboard: event files below the store's `logs/tensorboard`, a folder per artifact; nothing is sent.

They are written without TensorFlow and torch, whose import the main process does not need.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvlp.pipeline.runs.tracker import Described

PNG_SIZE = slice(16, 24)
"""Width and height in a PNG file, big-endian."""
RGB = 3


class TensorBoard:
    """A folder of event files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = f"event files in {folder}; look at them with `tensorboard --logdir {folder}`"

    def begin(self, run: Described) -> _Run:
        """See `Tracker`."""
        return _Run(self._folder / run.group / run.name, run)


class _Run:
    def __init__(self, folder: Path, run: Described) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder))
        if not run.resumed:
            self._add(0, _text("recipe", json.dumps(run.config, indent=1, ensure_ascii=False)))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(step, *(Summary.Value(tag=name, simple_value=value) for name, value in values.items()))

    def picture(self, name: str, path: Path, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        data = path.read_bytes()
        width, height = struct.unpack(">II", data[PNG_SIZE])
        image = Summary.Image(width=width, height=height, colorspace=RGB, encoded_image_string=data)
        self._add(step, Summary.Value(tag=name, image=image))

    def close(self) -> None:
        self._writer.close()

    def _add(self, step: int, *values: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        self._writer.add_event(event)
        self._writer.flush()  # a process that is killed loses nothing


def _text(name: str, text: str) -> Any:
    """Return a text, shown as written: lines that begin with four spaces are code."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

    content = TextPluginData(version=0).SerializeToString()
    plugin = SummaryMetadata.PluginData(plugin_name="text", content=content)
    shown = "".join(f"    {line}\n" for line in text.split("\n"))
    tensor = TensorProto(
        dtype="DT_STRING",
        string_val=[shown.encode()],
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
    )
    tag = f"{name}/text_summary"
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor)


def open_tracker(folder: Path, offline: bool) -> TensorBoard:
    """Return the tracker of a store with its logs in ``folder``."""
    return TensorBoard(folder / "tensorboard")
