"""What `kerasbn.check` and `kerasbn.recalibrate` need around them: samples out of files, and findings as a page.

Takes paths, and what `kerasbn` found. Gives arrays, the number of training steps that a file remembers, and HTML.
Judges nothing: that is `kerasbn.statistics`.
"""
