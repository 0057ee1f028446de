"""Frozen results, runs on disk, and the wording of errors. Knows NumPy, never torch."""

from typing import TYPE_CHECKING

from ._lazy import lazy as lazy

if TYPE_CHECKING:
    from ._callables import check_callable as check_callable
    from ._callables import function_name as function_name
    from ._callables import needed_arguments as needed_arguments
    from ._callables import raised as raised
    from ._callables import shown_call as shown_call
    from ._callables import takes_arguments as takes_arguments
    from ._checks import DEFAULT_BUDGET as DEFAULT_BUDGET
    from ._checks import check_at_least as check_at_least
    from ._checks import check_budget as check_budget
    from ._checks import check_choice as check_choice
    from ._checks import check_count as check_count
    from ._checks import check_fraction as check_fraction
    from ._checks import check_seed as check_seed
    from ._checks import is_number as is_number
    from ._checks import is_whole as is_whole
    from ._compare import Comparison as Comparison
    from ._compare import NumberChanges as NumberChanges
    from ._compare import PairedChange as PairedChange
    from ._compare import compare as compare
    from ._compare import paired_change as paired_change
    from ._counted import Counting as Counting
    from ._counted import counted as counted
    from ._counted import worded as worded
    from ._entries import Entries as Entries
    from ._errors import PYTHON as PYTHON
    from ._errors import NakamiWarning as NakamiWarning
    from ._errors import NotConvergedWarning as NotConvergedWarning
    from ._errors import RunError as RunError
    from ._errors import UsageError as UsageError
    from ._errors import UsageTypeError as UsageTypeError
    from ._errors import Worded as Worded
    from ._errors import unknown as unknown
    from ._errors import warn as warn
    from ._errors import wrong as wrong
    from ._errors import wrong_type as wrong_type
    from ._files import as_json as as_json
    from ._files import disk as disk
    from ._files import plain as plain
    from ._files import write_whole as write_whole
    from ._listening import duration as duration
    from ._listening import looked as looked
    from ._listening import product as product
    from ._listening import progress as progress
    from ._listening import tick as tick
    from ._listening import told as told
    from ._outcome import Ended as Ended
    from ._outcome import Ending as Ending
    from ._outcome import Outcome as Outcome
    from ._outcome import SpectrumEnding as SpectrumEnding
    from ._parts import Keep as Keep
    from ._parts import at_once as at_once
    from ._pieces import Piece as Piece
    from ._progress import Progress as Progress
    from ._progress import Work as Work
    from ._progress import piece as piece
    from ._progress import report as report
    from ._progress import share as share
    from ._record import KINDS as KINDS
    from ._record import Kind as Kind
    from ._record import Record as Record
    from ._record import RecordFolder as RecordFolder
    from ._record import as_path as as_path
    from ._record import holds as holds
    from ._record import load as load
    from ._record import read_record as read_record
    from ._record import slug as slug
    from ._record import versions as versions
    from ._remainder import Remainder as Remainder
    from ._shown import Shown as Shown
    from ._spectrum import Spectrum as Spectrum
    from ._spectrum import StageInfo as StageInfo
    from ._summary import Estimate as Estimate
    from ._summary import StageSummary as StageSummary
    from ._summary import brief as brief
    from ._summary import estimate as estimate
    from ._summary import span as span
    from ._xray import PIXEL as PIXEL
    from ._xray import Xray as Xray
    from .kinds.xray import RunFolder as RunFolder

__getattr__, __dir__, __all__ = lazy(__name__)
