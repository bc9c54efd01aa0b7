"""Networks that others trained, with their BatchNorms still separate, and data that suit them.

Nothing is vendored: each is read out of an installed package, or out of a folder that the user names.
"""

from .network import Absent, Folders, Source, Trained
from .sources import SOURCES

__all__ = ["SOURCES", "Absent", "Folders", "Source", "Trained"]
