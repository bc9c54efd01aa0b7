"""Random models from lists of numbers: every list is a model, so that a failing one shrinks by leaving out numbers.

A program is a sequence of steps, a step a sequence of integers. Each integer answers one question ("which operation?",
"which stride?") modulo the number of answers; a step that fits no tensor does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from kerasbn_testing.random_elementwise import ELEMENTWISE
from kerasbn_testing.random_history import layer_of
from kerasbn_testing.random_linear import LINEAR
from kerasbn_testing.random_merges import MERGES, fits
from kerasbn_testing.random_nesting import NESTINGS
from kerasbn_testing.random_norms import NORMS
from kerasbn_testing.random_positions import POSITIONS
from kerasbn_testing.random_sequences import SEQUENCES
from kerasbn_testing.targets import DRAWN

Program = Sequence[Sequence[int]]

LARGEST = 2000
"""Elements of one example that a tensor may have."""

TRIES = 3
"""Operations that a step tries, until one fits."""

REFUSALS = (ValueError, TypeError, ZeroDivisionError, UserWarning)
"""What Keras says of layers that it does not accept."""


class Dice:
    """Answers from a fixed sequence of integers; zeros when they run out.

    Args:
        numbers: The sequence.
        single: Whether layers may be made that compute in float32 only.
    """

    def __init__(self, numbers: Sequence[int], *, single: bool = False) -> None:
        self.numbers = list(numbers)
        self.single = single

    def below(self, count: int) -> int:
        return self.numbers.pop(0) % count if self.numbers else 0

    def one_of(self, options):
        options = list(options)
        return options[self.below(len(options))]

    def odds(self, percent: int) -> bool:
        """False for 0, so that shrinking takes options away."""
        return self.below(100) >= 100 - percent

    def data_format(self) -> str:
        """Channels first only where float32 will do: a CPU has few such kernels for float64."""
        return "channels_first" if self.single and self.odds(60) else "channels_last"


INPUTS = (
    *((4,), (5, 3), (6, 5, 4), (None, 3), (None, None, 4), (4, 4, 4, 3), (1, 1, 3), (7, 4), (3, 4, 5, 2)),
    *((4, None, 3), (2, 6, 6), (3, 7, 2), (None, None, None, 2), (3, 5, 4)),
)


class RandomModel:
    """One random model of one Keras.

    Args:
        flavour: The Keras.
        program: The numbers; its first step chooses the inputs and outputs.

    Attributes:
        model: The model.
        wild: Whether its statistics are to be extreme.
        target: What it is folded for: see `kerasbn_testing.targets`.
        merge: Whether folding may merge branches.
        refused: The names of the operations that Keras refused.
    """

    def __init__(self, flavour, program: Program) -> None:
        self.flavour = flavour
        self.keras = flavour.keras
        self.tensors = []
        self.used = set()
        self.layers = []
        self.log = []
        self.refused = []
        header = Dice(program[0] if program else ())
        self.batch = 2 if header.odds(30) else None
        self.single = header.odds(8)
        self.wild = header.odds(25) and not self.single
        self.target = header.one_of(DRAWN)
        self.merge = not header.odds(10)
        for _ in range(1 + header.odds(30)):
            self.tensors.append(self.keras.Input(header.one_of(INPUTS), batch_size=self.batch))
        self.inputs = [*self.tensors, *self._tokens(header)]
        for step in program[1:]:
            self._step(Dice(step, single=self.single))
        self.model = self.keras.Model(self.inputs, self._outputs(header))

    def _tokens(self, header: Dice):
        """Now and then an input of integers, with its Embedding."""
        if not header.odds(15):
            return []
        tokens = self.keras.Input((header.one_of((5, None)),), batch_size=self.batch, dtype="int32")
        self.tensors.append(self.keras.layers.Embedding(7, 4, mask_zero=header.odds(50))(tokens))
        return [tokens]

    def _step(self, dice: Dice) -> None:
        index = len(self.tensors) - 1 - (dice.below(len(self.tensors)) if dice.odds(35) else 0)
        normalised = dice.odds(40)
        new = None
        for _ in range(TRIES):
            new = self._grown(dice.one_of(ORDER), self.tensors[index], dice) if new is None else new
        if new is not None and normalised:
            self._grown("batchnorm", new, dice)

    def _grown(self, name: str, tensor, dice: Dice):
        """The tensor that an operation gives, which the model has from now on; None where it fits no tensor."""
        try:
            used, new = self._made(name, tensor, dice)
        except REFUSALS as error:  # a smaller model is as good
            self.refused.append(f"{name}: {type(error).__name__}")
            return None
        if new is None or _size(new) > LARGEST or any(size == 0 for size in new.shape[1:]) or len(new.shape) < 2:
            return None
        self.log.append(f"{name}({', '.join(str(tuple(t.shape)) for t in used)}) -> {tuple(new.shape)}")
        self.used.update(id(t) for t in used)
        self.tensors.append(new)
        layer = layer_of(self.flavour, new) if name in REUSED else None
        if layer is not None:
            self.layers.append((layer, tensor))
        return new

    def _made(self, name: str, tensor, dice: Dice):
        if name == "again":
            return (tensor,), self._again(tensor, dice)
        if name in MERGES:
            other = self.tensors[dice.below(len(self.tensors))]
            new = MERGES[name](self.flavour, tensor, other, dice) if fits(name, tensor, other) else None
            return (tensor, other), new
        return (tensor,), OPERATIONS[name](self.flavour, tensor, dice)

    def _again(self, tensor, dice: Dice):
        """A layer from before, called on a tensor of the same shape."""
        fitting = [layer for layer, given in self.layers if tuple(given.shape) == tuple(tensor.shape)]
        return dice.one_of(fitting)(tensor) if fitting else None

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


OPERATIONS = {**NORMS, **LINEAR, **ELEMENTWISE, **POSITIONS, **SEQUENCES, **NESTINGS}

WEIGHTS = {
    "batchnorm": 14, "dense": 5, "conv": 10, "activation": 8, "depthwise": 4, "separable": 3, "transpose": 3,
    "einsum": 4, "pool": 5, "global_pool": 3, "upsample": 3, "crop": 3, "zero_pad": 4, "flatten": 3, "reshape": 4,
    "permute": 3, "repeat": 2, "inert": 5, "function": 3, "arithmetic": 5, "lambda": 1, "hard_swish": 1,
    "time_distributed": 10, "recurrent": 4, "bidirectional": 2, "attention": 2, "other_sequence": 1, "masking": 1,
    "layer_norm": 3, "group_norm": 2, "other_norm": 1, "rescale": 2, "normalise": 2, "sum": 6, "product": 3,
    "concatenate": 5, "again": 6, "nested": 4, "sequential": 1, "inside_time": 1, "twice": 2, "block": 3,
    "before_padding": 3, "residual": 3, "two_batchnorms": 2, "repvgg": 3,
}  # fmt: skip
"""How often each operation is chosen; BatchNorm first and often, for zeros shrink towards it."""

REUSED = ("nested", "time_distributed", "recurrent", "bidirectional", *NORMS, *LINEAR, "activation", *POSITIONS)
"""Operations that are one layer on one tensor."""

ORDER = tuple(name for name, weight in WEIGHTS.items() for _ in range(weight))
