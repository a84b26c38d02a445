"""Become another program that dies with its parent; run as a script by `child.spawn`, standard library only.

On Linux the kernel sends the program a signal when the process that started it is gone, however it went. Elsewhere
the next start finds what was left over (`child.end_leftover`).

PostgreSQL refuses to run as root. Where root starts it, the program becomes the user `nobody` but keeps one capability,
the right to pass folders that only root can open: the data stays in a folder closed to everyone else, and no folder
above it has to be opened. Numbers are those of linux/prctl.h, linux/capability.h and linux/securebits.h.
"""

import argparse
import ctypes
import os
import struct
import sys
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 4
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--owner", help="user and group number, as 65534:65534")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    if arguments.owner:
        user, group = map(int, arguments.owner.split(":"))
        step_down(user=user, group=group)
    if sys.platform == "linux":
        call("prctl", PR_SET_PDEATHSIG, arguments.signal, 0, 0, 0)
        if os.getppid() != arguments.parent:  # it died before the line above
            sys.exit(1)
    os.execv(arguments.command[0], arguments.command)


def step_down(*, user: int, group: int) -> None:
    # access(), by which initdb looks for its fellows, minds no capability of who is not root, unless told to.
    with suppress(PermissionError):  # in a container that takes this right from root: needed in closed folders only
        call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    bit = 1 << CAP_DAC_OVERRIDE
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION_3, 0))
    effective_permitted_inheritable = struct.pack("6I", bit, bit, bit, 0, 0, 0)
    call("capset", header, ctypes.create_string_buffer(effective_permitted_inheritable))
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def call(name: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
