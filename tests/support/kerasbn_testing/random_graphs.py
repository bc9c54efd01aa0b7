"""Random models from lists of numbers: every list is a model, so that a failing one shrinks by leaving out numbers.

A program is a sequence of steps, a step a sequence of integers. Each integer answers one question ("which operation?",
"which stride?") modulo the number of answers; a step that fits no tensor does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from kerasbn_testing.random_layers import LAYERS, MERGES, fits
from kerasbn_testing.random_nesting import NESTINGS

Program = Sequence[Sequence[int]]

LARGEST = 2000
"""Elements of one example that a tensor may have."""


class Dice:
    """Answers from a fixed sequence of integers; zeros when they run out."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = list(numbers)

    def below(self, count: int) -> int:
        return self.numbers.pop(0) % count if self.numbers else 0

    def one_of(self, options):
        options = list(options)
        return options[self.below(len(options))]

    def odds(self, percent: int) -> bool:
        """False for 0, so that shrinking takes options away."""
        return self.below(100) >= 100 - percent


INPUTS = ((4,), (5, 3), (6, 5, 4), (None, 3), (None, None, 4), (4, 4, 4, 3), (1, 1, 3), (7, 4), (3, 4, 5, 2))


class RandomModel:
    """One random model of one Keras.

    Args:
        flavour: The Keras.
        program: The numbers; its first step chooses the inputs and outputs.
    """

    def __init__(self, flavour, program: Program) -> None:
        self.flavour = flavour
        self.keras = flavour.keras
        self.tensors = []
        self.used = set()
        self.layers = []
        self.log = []
        header = Dice(program[0] if program else ())
        self.batch = 2 if header.odds(30) else None
        for _ in range(1 + header.odds(30)):
            self.tensors.append(self.keras.Input(header.one_of(INPUTS), batch_size=self.batch))
        if header.odds(15):
            tokens = self.keras.Input((header.one_of((5, None)),), batch_size=self.batch, dtype="int32")
            self.inputs = [*self.tensors, tokens]
            self.tensors.append(self.keras.layers.Embedding(7, 4, mask_zero=header.odds(50))(tokens))
        else:
            self.inputs = list(self.tensors)
        for step in program[1:]:
            self._step(Dice(step))
        self.model = self.keras.Model(self.inputs, self._outputs(header))

    def _step(self, dice: Dice) -> None:
        index = len(self.tensors) - 1 - (dice.below(len(self.tensors)) if dice.odds(35) else 0)
        tensor = self.tensors[index]
        name = dice.one_of(ORDER)
        table = next(table for table in (LAYERS, MERGES, NESTINGS) if name in table)
        try:
            if table is MERGES:
                other = self.tensors[dice.below(len(self.tensors))]
                new = table[name](self.keras, tensor, other, dice) if fits(name, tensor, other) else None
                used = (tensor, other)
            else:
                new = table[name](self.flavour, tensor, dice)
                used = (tensor,)
        except (ValueError, TypeError, ZeroDivisionError, UserWarning):  # Keras refuses it: a smaller model is as good
            return
        if new is None or _size(new) > LARGEST or any(size == 0 for size in new.shape[1:]):
            return
        self.log.append(f"{name}({', '.join(str(tuple(t.shape)) for t in used)}) -> {tuple(new.shape)}")
        self.used.update(id(t) for t in used)
        self.tensors.append(new)

    def _outputs(self, header: Dice):
        ends = [tensor for tensor in self.tensors if id(tensor) not in self.used and not _is_input(tensor, self.inputs)]
        if header.odds(20):
            extra = header.one_of(self.tensors)
            if not any(extra is tensor for tensor in (*ends, *self.inputs)):
                ends.append(extra)
        return ends or [self.keras.layers.Dense(2)(self.tensors[0])]


def _is_input(tensor, inputs) -> bool:
    return any(tensor is other for other in inputs)


def _size(tensor) -> int:
    size = 1
    for dimension in tensor.shape[1:]:
        size *= dimension or 6
    return size


# BatchNorm first, and often: zeros shrink towards it.
ORDER = tuple(name for name, weight in (
    ("batchnorm", 14), ("dense", 4), ("conv", 9), ("activation", 9), ("depthwise", 3), ("separable", 2),
    ("transpose", 2),
    ("einsum", 2), ("pool", 5), ("global_pool", 3), ("upsample", 2), ("crop", 2), ("zero_pad", 3), ("flatten", 2),
    ("reshape", 2), ("permute", 2), ("repeat", 1), ("inert", 3), ("time_distributed", 3), ("layer_norm", 2),
    ("group_norm", 1), ("recurrent", 3), ("bidirectional", 1), ("attention", 1), ("rescale", 2), ("normalise", 2),
    ("arithmetic", 2), ("lambda", 1), ("sum", 5), ("product", 1), ("concatenate", 4), ("nested", 3), ("twice", 3),
    ("block", 2), ("residual", 3), ("two_batchnorms", 2), ("repvgg", 1),
) for _ in range(weight))  # fmt: skip
