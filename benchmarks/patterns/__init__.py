"""The catalogue: small models, each a BatchNorm in one surrounding that is common in real networks.

``CATALOGUE`` maps a pattern's name to it. A pattern says how many elementwise operations algebra leaves of its
affines: none where they go into weights, one where a sign, a padding or an activation is in the way.
"""

from patterns import branches, consumers, others, producers
from patterns.pattern import CATALOGUE, Pattern, data_for, give_numbers

__all__ = ["CATALOGUE", "Pattern", "branches", "consumers", "data_for", "give_numbers", "others", "producers"]
