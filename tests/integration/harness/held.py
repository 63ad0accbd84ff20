"""Holds threads of a process as a debugger does, so that a test can see what the others do without them."""

import contextlib
import ctypes
import os
import pathlib

LIBC = ctypes.CDLL(None, use_errno=True)
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
ALSO_THREADS = 0x40000000  # __WALL of waitpid()


def _ptrace(request, thread):
    if LIBC.ptrace(request, thread, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace({request:#x}) of thread {thread}: {os.strerror(error)}")


@contextlib.contextmanager
def all_but_main_thread(pid):
    """Within, only the main thread of the process goes on. It must not start threads meanwhile; from one thread of ours."""
    threads = [int(entry.name) for entry in pathlib.Path(f"/proc/{pid}/task").iterdir() if entry.name != str(pid)]
    held = []
    try:
        for thread in threads:
            _ptrace(SEIZE, thread)
            held.append(thread)
            _ptrace(INTERRUPT, thread)
            os.waitpid(thread, ALSO_THREADS)
        yield
    finally:
        for thread in held:
            _ptrace(DETACH, thread)
