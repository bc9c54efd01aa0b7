"""What a file is for: profiles of devices, and the tools that measure a file for them.

Takes the bytes of a ``.tflite`` file and a device's name. Gives what the device needs of a file, memory and cycles.
Knows nothing of how the file was made.
"""
