"""Confines itself by Landlock and the system call filter and becomes a command; its parent half cleans up.

Runs alone, in an interpreter of its own, as source that the agent holds in memory: it may import nothing of
this package. The parent half stays unconfined and small:
it adopts whatever the command leaves behind and ends that with it, as a PID namespace would.
"""

import ctypes
import os
import signal
import sys
import time
from typing import Any

_ADD_RULE, _CREATE_RULESET, _RESTRICT_SELF = 445, 444, 446  # the same numbers on every machine
_NO_NEW_PRIVS, _SECCOMP, _SUBREAPER, _DEATH_SIGNAL, _DROP_BOUND = 38, 22, 36, 1, 24
_CAPSET = {"x86_64": 126, "aarch64": 91}
_OUT_OF_ORDER = 125  # the exit status where confinement itself fails
_PATIENCE = 0.7  # from TERM to KILL; the agent waits a second before it kills this process
_TURNS = 500

libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *args: Any) -> int:
    result: int = libc.syscall(ctypes.c_long(number), *args)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{os.strerror(error)} (system call {number})")
    return result


def _prctl(option: int, *args: int) -> None:
    words = [ctypes.c_ulong(one) for one in (*args, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *words) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{os.strerror(error)} (prctl {option})")


def _landlock(plan: dict[str, Any]) -> None:
    attr = ctypes.create_string_buffer(plan["attr"], len(plan["attr"]))
    ruleset = _call(_CREATE_RULESET, attr, ctypes.c_size_t(len(plan["attr"])), ctypes.c_uint32(0))
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    for path, folder_access, file_access in plan["grants"]:
        try:
            beneath = os.open(path, flags)
        except OSError:
            continue  # gone, or no longer to be reached: nothing is granted
        try:
            kind = os.fstat(beneath).st_mode & 0o170000
            access = folder_access if kind == 0o040000 else file_access
            if kind == 0o120000 or not access:
                continue  # a link grants nothing: what it points to has a grant of its own, or none
            rule = access.to_bytes(8, sys.byteorder) + beneath.to_bytes(4, sys.byteorder)
            _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.create_string_buffer(rule, 12), 0)
        finally:
            os.close(beneath)
    _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _drop_capabilities() -> None:
    for number in range(64):
        try:
            _prctl(_DROP_BOUND, number)
        except OSError:
            break  # behind the last one, or not ours to drop: then there are none
    header = ctypes.create_string_buffer((0x20080522).to_bytes(4, sys.byteorder) + bytes(4), 8)
    _call(_CAPSET[os.uname().machine], header, ctypes.create_string_buffer(24))


def _filter(code: bytes) -> None:
    body = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    program = Program(len(code) // 8, ctypes.addressof(body))
    _prctl(_SECCOMP, 2, ctypes.addressof(program))


def _become(plan: dict[str, Any], argv: list[str]) -> None:
    """Never returns but by an exception."""
    os.setsid()
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)
    os.closerange(3, 65536)
    _prctl(_NO_NEW_PRIVS, 1)
    _landlock(plan)
    _drop_capabilities()
    _filter(plan["filter"])
    os.execvpe(argv[0], argv, os.environ)


def _descendants(pid: int) -> list[int]:
    found, left = [], [pid]
    while left:
        parent = left.pop()
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    children = [int(word) for word in file.read().split()]
            except OSError:
                continue
            found += children
            left += children
    return found


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _end_all(number: int) -> None:
    for pid in _descendants(os.getpid()):
        try:
            os.kill(pid, number)
        except OSError:
            pass


def _clear() -> None:
    """End whatever is left, also what is being made meanwhile."""
    for _ in range(_TURNS):
        _end_all(signal.SIGKILL)
        _reap()
        if not _descendants(os.getpid()):
            return
        time.sleep(0.002)


def _leave(number: int, _frame: Any) -> None:
    _end_all(signal.SIGTERM)
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and _descendants(os.getpid()):
        _reap()
        time.sleep(0.01)
    _clear()
    os._exit(128 + number)


def main(plan: dict[str, Any], argv: list[str]) -> int:
    """Run `argv` confined and say how it ended, as a shell does."""
    _prctl(_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        try:
            _become(plan, argv)
        except FileNotFoundError:
            os._exit(127)
        except BaseException as error:  # noqa: BLE001 - the child ends here, whatever it was
            os.write(2, f"the sandbox could not be built: {error}\n".encode(errors="replace"))
        os._exit(_OUT_OF_ORDER)
    _prctl(_DEATH_SIGNAL, signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            break
    _clear()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
