"""folder:PATH: any image folder with `train/<class>/*` and `val/<class>/*`, models trained on it.

Command: ``uvlp reproduce folder:PATH 10 --profile tiny``.
"""

from __future__ import annotations

from uvlp.recipes.dit import DiffFitSettings
from uvlp.recipes.evaluation import EvaluateSettings, RdedSettings, TeacherSettings
from uvlp.recipes.schema import CaptionSettings, Recipe

UNDER_TRAINED = (
    "profile tiny on photographs: the models are trained for two or three minutes on one CPU, so the "
    "synthesised images are under-trained; the coresets are not affected"
)
SHORT_SCHEDULE = "short schedule of profile tiny, not the paper's"
SMALL_TEACHER = "no published setting: small images and a teacher that was trained for a short time"
DIFFFIT = DiffFitSettings(epochs=4, ema=0.99, random_flip=False)
"""The published average would keep most of the initial weights for 10,000 steps."""
SYNTHESIS = {"scheduler": "ddim", "steps": 20, "strength": 0.5, "guidance": 2.0}


def recipe(ipc: int) -> Recipe:
    """Return the recipe at ``ipc`` images per class."""
    return Recipe(
        dataset="folder",
        ipc=ipc,
        models_note=UNDER_TRAINED,
        protocol_notes={"minimax": SHORT_SCHEDULE, "rded": SMALL_TEACHER},
        caption=CaptionSettings(captioner="auto"),
        evaluate=EvaluateSettings(size_px=32, width=32, epochs=300, epochs_full=40, validations=20),
        rded=RdedSettings(size_px=32, epochs_full=40),
        teacher=TeacherSettings(epochs=20, batch=64, crop_scale=0.5),
        difffit=DIFFFIT,
        synthesis=SYNTHESIS,
    )
