import gc

ALLOCATIONS = 10_000  # between two looks at the youngest; Python's 700 are for programs that run for a second


def keep_what_is_there() -> None:
    """Once a process is up, all its modules stay: the collector need not go through them while somebody waits."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)
