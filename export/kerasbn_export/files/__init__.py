"""Paths and files of the user: looked at before anything slow, read with one clear error, written all or nothing.

Knows no model.
"""
