"""wandb: Weights & Biases, which sends to the account that is logged in unless it is told not to.

Without a login, with `WANDB_MODE=offline` or `--offline`, runs stay in `wandb/` below `WANDB_DIR` or the
store's `logs/`, until `wandb sync` sends them. No code, output or statistics of the machine are recorded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvlp.pipeline.runs.tracker import PROJECT, Described

ANSWER_S = 30
"""How long its server may take to answer; the run goes on meanwhile, but waits at its end."""
QUIET = {
    "silent": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "init_timeout": ANSWER_S,
}


class WeightsAndBiases:
    """A project of Weights & Biases."""

    def __init__(self, settings: Any, where: str) -> None:
        self._settings, self.where = settings, where

    def begin(self, run: Described) -> _Run:
        """See `Tracker`."""
        import wandb

        begun = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=run.id,
            name=run.title,
            group=run.group,
            job_type=run.stage,
            config=dict(run.config),
            resume="allow",
            reinit="create_new",  # several artifacts are made at once
            settings=self._settings,
        )
        return _Run(begun)


class _Run:
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, name: str, path: Path, step: int) -> None:
        import wandb

        self._run.log({name: wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        self._run.finish()


def open_tracker(folder: Path, offline: bool) -> WeightsAndBiases:
    """Return the tracker of a store with its logs in ``folder``.

    Args:
        folder: used unless `WANDB_DIR` names another one.
        offline: send nothing.
    """
    os.environ.setdefault(
        "WANDB_ERROR_REPORTING", "false"
    )  # it would send usage of its own, before a login too
    import wandb

    root = Path(os.environ.get("WANDB_DIR") or folder)
    root.mkdir(parents=True, exist_ok=True)
    mode = "offline" if offline else os.environ.get("WANDB_MODE", "online")
    wandb.setup(wandb.Settings(mode=mode, **QUIET))
    logged_in = mode != "online" or wandb.login(verify=False, prompt=False)
    if not logged_in:
        mode = "offline"
    settings = wandb.Settings(root_dir=str(root), mode=mode, **QUIET)
    where = f"project {os.environ.get('WANDB_PROJECT') or PROJECT}"
    if mode == "offline":
        files = f"`wandb sync {root}/wandb/offline-run-*` sends them"
        where = f"{'offline' if logged_in else 'not logged in (`wandb login`)'}, nothing is sent: {files}"
    return WeightsAndBiases(settings, where)
