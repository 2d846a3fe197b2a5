"""Launchers: where the tasks of a run are computed, one file each; `jobs` has what clusters share."""
