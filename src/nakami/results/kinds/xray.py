"""X-rays: read as ``Xray``, compared input by input."""

from .._compare import compare_xrays
from .._record import Kind
from .._store import restore_xray

ENTRY = Kind(version=1, read=restore_xray, compare=compare_xrays)
