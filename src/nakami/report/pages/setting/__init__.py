"""The page of a training's setting, or of the learning rate alone."""

from ...page._kinds import PageKind
from ..learning_rate._sections import noise_section
from ._data import read
from ._frame import frame
from ._sections import code_section, schedule_section, setting_section, trials_section

ENTRY = PageKind(
    results=("nakami.geometry:TrainingSetting", "nakami.geometry:LearningRate"),
    read=read,
    frame=frame,
    sections=(
        setting_section,
        code_section,
        trials_section,
        schedule_section,
        lambda data: noise_section(data.noise),
    ),
)
