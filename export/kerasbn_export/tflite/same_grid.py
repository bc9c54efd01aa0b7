"""Operations that give numbers on the grid that they take them on."""

SAME_GRID = frozenset(
    {
        *("AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CONCATENATION", "DEPTH_TO_SPACE"),
        *("DYNAMIC_UPDATE_SLICE", "EXPAND_DIMS", "GATHER", "GATHER_ND", "MAXIMUM"),
        *("MAX_POOL_2D", "MINIMUM", "MIRROR_PAD", "PACK", "PAD"),
        *("PADV2", "REDUCE_MAX", "REDUCE_MIN", "RESHAPE", "RESIZE_BILINEAR"),
        *("RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SELECT", "SELECT_V2", "SLICE"),
        *("SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE"),
        *("STRIDED_SLICE", "TILE", "TOPK_V2", "TRANSPOSE", "UNPACK"),
    }
)
"""Operations that move numbers, or choose among them."""
