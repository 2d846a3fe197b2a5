"""digits: 1,797 real handwritten digits that scikit-learn ships.

Command: ``uvlp reproduce digits 10``. Time, memory and expected accuracies stand in README.md.
"""

from __future__ import annotations

from uvlp.recipes.schema import CaptionSettings, EvaluateSettings, RdedSettings, Recipe, TeacherSettings

SHORT_SCHEDULE = (
    "short schedule for digits, not the paper's; a mirrored digit is another shape, so the recipe has no flip"
)
SMALL_TEACHER = (
    "no published setting: small images of digits and a teacher that was trained on them for a short time; "
    "a mirrored digit is another shape, so the recipe has no flip"
)
SYNTHESIS = {"scheduler": "ddim", "steps": 20, "strength": 0.4, "guidance": 2.0}


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return Recipe(
        dataset="digits",
        ipc=ipc,
        protocol_notes={"minimax": SHORT_SCHEDULE, "rded": SMALL_TEACHER},
        caption=CaptionSettings(captioner="strokes"),
        evaluate=EvaluateSettings(size_px=16, width=32, epochs=300, epochs_full=60, validations=20, flip=0.0),
        rded=RdedSettings(size_px=16, epochs_full=40, flip=0.0),
        teacher=TeacherSettings(epochs=20, batch=64, crop_scale=0.5),
        method={name: {"synthesis": SYNTHESIS} for name in ("d4m", "vlcp", "uvlp")},
    )
