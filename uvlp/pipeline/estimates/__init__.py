"""Estimates of time, GPU memory, host memory and disk space per stage, before a run.

`report.estimate` is the entry point. Operations are counted (`costs.json`); rates are measured by others or
by this project if available, and assumed otherwise (see `assumptions.py`).
"""
