import gc


def keep_what_is_there() -> None:
    """Once a process is up, all its modules stay: the collector need not go through them while somebody waits."""
    gc.collect()
    gc.freeze()
