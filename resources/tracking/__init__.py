"""Where users have it already: metrics of training and evaluation, in the tracker of their choice.

Recording only: nothing that is made depends on it. Nothing leaves the machine unless the user's own
environment says so.
"""

from resources.tracking.run import UNTRACKED, Measures, TrackedRun, require_installed
from resources.tracking.tools import ToolName

__all__ = ["UNTRACKED", "Measures", "ToolName", "TrackedRun", "require_installed"]
