"""From a file to a model, without running code from the file.

Takes the path of a ``.keras``, ``.h5`` or SavedModel. Gives the model in the Keras that wrote it, or its signatures as
programs. What a file may name is on lists here (``safe_*``). Knows nothing of folding or conversion.
"""
