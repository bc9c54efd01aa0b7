"""From a bad ``.tflite`` file to the cause, and to the command that mends it.

Takes a file, and where there are any its model and samples; gives an `Explanation`. ``causes`` has one function for
each cause, from the evidence to a finding or None. Knows no command line.
"""
