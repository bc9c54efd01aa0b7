"""What a comparison finds, as data: measurements, gates, pictures, and the records that hold them.

Numbers in, numbers out: nothing here runs a model.
"""
