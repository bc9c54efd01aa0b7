"""Are the moving averages fit to ship, and if not, statistics of the data in their place.

BatchNorm computes something else in training than at inference. Where the moving averages are wrong, ``fit`` looks good
and ``predict`` is bad. `kerasbn.check` says so, `kerasbn.recalibrate` repairs it.
"""
