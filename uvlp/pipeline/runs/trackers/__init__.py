"""Trackers, one file each: `--report-to NAME` hands the curves, pictures and recipe of a run to one."""
