"""Objects in pictures: windows to learn from, a detector, merged boxes, and how good they are.

Boxes are left, top, right and bottom, in pixels; ``data.scenes`` makes pictures with known ones.
"""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._boxes import Detections as Detections
    from ._boxes import overlaps as overlaps
    from ._coco import OVERLAPS as OVERLAPS
    from ._coco import coco_average_precision as coco_average_precision
    from ._coco import has_coco as has_coco
    from ._detector import detect as detect
    from ._false_alarms import false_alarms as false_alarms
    from ._merging import match_scores as match_scores
    from ._merging import merge as merge
    from ._precision import PrecisionRecall as PrecisionRecall
    from ._precision import mean_average_precision as mean_average_precision
    from ._precision import mean_average_precision_error as mean_average_precision_error
    from ._precision import precision_recall as precision_recall
    from ._precision import right_ones as right_ones
    from ._tracking import TrackingScores as TrackingScores
    from ._tracking import link as link
    from ._tracking import tracking_scores as tracking_scores
    from ._tracking_errors import tracking_errors as tracking_errors
    from ._windows import FIT as FIT
    from ._windows import Windows as Windows
    from ._windows import windows as windows

__getattr__, __dir__, __all__ = lazy(__name__)
