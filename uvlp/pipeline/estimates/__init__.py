"""What a run will cost: time, GPU memory, host memory and disk per stage, before anything is there.

`report.estimate` is the way in. Operations are counted (`costs.json`), rates are measured by others or by
this project where there is such a measurement, and assumed elsewhere (`assumptions.py` says which).
"""
