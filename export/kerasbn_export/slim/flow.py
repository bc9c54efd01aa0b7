"""What flows through a graph: the channels of each value, and which of them are constant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.graph.model import Call, Graph, Layer, Value
from kerasbn_export.slim.channels import Channels, Ids, Stay, Why


@dataclass(frozen=True, eq=False)
class Flow:
    """The channels along the last axis of one value.

    Attributes:
        ids: Their numbers in `Channels`; some may stand at several places.
        constants: What each is at every position of every sample; NaN where it is not constant.
        bordered: Whether zeros were padded around: a constant is zero there.
    """

    ids: Ids
    constants: Float64
    bordered: bool = False


@dataclass(eq=False)
class Use:
    """One layer that mixes channels, and with it needs to know the constants of those that go.

    Attributes:
        layer: The layer.
        ids: The channels it takes.
        constants: What they are at all its calls; NaN where they are not constant or not the same.
        padded: Whether some call pads zeros, so that a constant is carried by another channel instead of the bias.
    """

    layer: Layer
    ids: Ids
    constants: Float64
    padded: bool


@dataclass(eq=False)
class State:
    """What is known of a graph so far.

    Attributes:
        graph: The graph.
        threshold: A gamma of at most this size is taken for zero.
        channels: The channels of all values.
        flows: What flows in each value, those with channels that can be followed.
        uses: The layers that mix channels.
        lost: Why a channel that was constant is not any more.
        ends: The channels that each layer takes and gives at its first call.
    """

    graph: Graph
    threshold: float
    channels: Channels = field(default_factory=Channels)
    flows: dict[Value, Flow] = field(default_factory=dict)
    uses: dict[Layer, Use] = field(default_factory=dict)
    lost: dict[int, Stay] = field(default_factory=dict)
    ends: dict[Layer, tuple[Ids, Ids]] = field(default_factory=dict)

    def lose(self, flow: Flow, where: npt.NDArray[np.bool_], stay: Stay) -> Float64:
        """The constants without those at some places, which are not constant from here on."""
        for channel in flow.ids[where].tolist():
            self.lost.setdefault(channel, stay)
        return np.where(where, np.nan, flow.constants)

    def inside(self, flow: Flow, call: Call) -> Flow:
        """The flow as a layer sees it that mixes positions or adds to them: in a border no constant but zero is one."""
        if not flow.bordered:
            return flow
        return replace(flow, constants=self.lose(flow, nonzero(flow.constants), padding_of(call)), bordered=False)

    def shared(self, layer: Layer, taken: Ids, given: Ids) -> None:
        """Tie the channels of the layer's calls."""
        first = self.ends.setdefault(layer, (taken, given))
        self.channels.tie(first[0], taken)
        self.channels.tie(first[1], given)

    def use(self, call: Call, flow: Flow, *, padded: bool) -> None:
        """Enter a call of a layer that mixes channels."""
        use = self.uses.setdefault(call.layer, Use(call.layer, flow.ids, flow.constants, padded))
        use.padded |= padded
        differ = use.constants != flow.constants
        was = differ & ~np.isnan(use.constants) & ~np.isnan(flow.constants)
        sentence = f"{name_of(call)} is called at several places, where the channel has several values."
        self.lose(flow, was, Stay(Why.SHARED, sentence))
        use.constants = np.where(differ, np.nan, use.constants)


def nonzero(constants: Float64) -> npt.NDArray[np.bool_]:
    """Which are constants other than zero."""
    found: npt.NDArray[np.bool_] = ~np.isnan(constants) & (constants != 0)
    return found


def no_way(call: Call, what: str) -> Stay:
    """A call that no channel can be taken from."""
    return Stay(Why.NO_WAY, f"{name_of(call)} {what}.")


def padding_of(call: Call) -> Stay:
    """A constant that meets zero padding."""
    return Stay(
        Why.ZERO_PADDING, f"The constant is another number at the border, where zeros are padded: {name_of(call)}."
    )


def name_of(call: Call) -> str:
    """The class and name of a call's layer, for messages."""
    return f"{call.layer.kind or type(call.layer.source).__name__} {call.layer.path!r}"
