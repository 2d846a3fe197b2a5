"""The command line as functions: what they return can be printed, plotted and put into a frame of pandas."""

from uvlp.api.calls import distil, evaluate, reproduce, table
from uvlp.api.store import Store

__all__ = ["Store", "distil", "evaluate", "reproduce", "table"]
