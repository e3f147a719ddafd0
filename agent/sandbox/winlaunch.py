"""Starts one command on Windows with a restricted token of low integrity in a job, and ends with it.

Runs alone in an interpreter of its own, without this package: `main` gets the plan as JSON. What a token
cannot do is said in `agent/sandbox/windows.py`. Layouts are those of 64 bit Windows, spelled with types of fixed
width, so that they can be checked anywhere.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from typing import Any

HANDLE = ctypes.c_void_p
DWORD = ctypes.c_uint32
WORD = ctypes.c_uint16
BOOL = ctypes.c_int32
SIZE = ctypes.c_size_t
TEXT = ctypes.c_void_p  # of 16 bit characters

_TOKEN_ACCESS = 0x0001 | 0x0002 | 0x0008 | 0x0080  # assign as primary, duplicate, query, change defaults
_NO_PRIVILEGES, _LIMITED_USER = 0x1, 0x4
_INTEGRITY = 25  # TokenIntegrityLevel
_INTEGRITY_GROUP = 0x20
_LOW = "S-1-16-4096"
_FILE_OBJECT, _LABEL = 1, 0x10
LABELS = {
    "writable": "S:(ML;OICI;NW;;;LW)",  # whoever is low may write
    "protected": "S:(ML;OICI;NW;;;ME)",  # who is lower than the user may not write
    "hidden": "S:(ML;OICI;NRNWNX;;;ME)",  # nor read, nor run
}
_EXTENDED_LIMITS, _UI_LIMITS = 9, 4
_KILL_ON_CLOSE, _NO_DIALOG, _PROCESSES, _JOB_MEMORY, _PROCESS_TIME = 0x2000, 0x400, 0x8, 0x200, 0x2
_ALL_UI = 0xFF
_HANDLE_LIST = 0x20002
_CREATION = 0x4 | 0x400 | 0x80000 | 0x8000000  # suspended, UTF-16 environment, extended start-up, no window
_STANDARD = (-10, -11, -12)
_USE_STANDARD = 0x100
_INHERIT = 0x1
_FOREVER = 0xFFFFFFFF
_OUT_OF_ORDER = 125


class StartupInfo(ctypes.Structure):
    _fields_ = (
        ("cb", DWORD), ("reserved", TEXT), ("desktop", TEXT), ("title", TEXT), ("x", DWORD), ("y", DWORD),
        ("x_size", DWORD), ("y_size", DWORD), ("x_chars", DWORD), ("y_chars", DWORD), ("fill", DWORD),
        ("flags", DWORD), ("show", WORD), ("cb_reserved2", WORD), ("reserved2", HANDLE),
        ("stdin", HANDLE), ("stdout", HANDLE), ("stderr", HANDLE),
    )  # fmt: skip


class StartupInfoEx(ctypes.Structure):
    _fields_ = (("info", StartupInfo), ("attributes", HANDLE))


class ProcessInformation(ctypes.Structure):
    _fields_ = (("process", HANDLE), ("thread", HANDLE), ("process_id", DWORD), ("thread_id", DWORD))


class BasicLimits(ctypes.Structure):
    _fields_ = (
        ("process_time", ctypes.c_int64), ("job_time", ctypes.c_int64), ("flags", DWORD),
        ("least_set", SIZE), ("most_set", SIZE), ("processes", DWORD), ("affinity", SIZE),
        ("priority", DWORD), ("scheduling", DWORD),
    )  # fmt: skip


class ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("basic", BasicLimits), ("io", ctypes.c_uint64 * 6), ("process_memory", SIZE),
        ("job_memory", SIZE), ("peak_process", SIZE), ("peak_job", SIZE),
    )  # fmt: skip


class SidAndAttributes(ctypes.Structure):
    _fields_ = (("sid", HANDLE), ("attributes", DWORD))


_SIGNATURES: dict[str, tuple[str, Any, tuple[Any, ...]]] = {
    "GetCurrentProcess": ("kernel32", HANDLE, ()),
    "OpenProcessToken": ("advapi32", BOOL, (HANDLE, DWORD, HANDLE)),
    "CreateRestrictedToken": (
        "advapi32", BOOL, (HANDLE, DWORD, DWORD, HANDLE, DWORD, HANDLE, DWORD, HANDLE, HANDLE),
    ),
    "ConvertStringSidToSidW": ("advapi32", BOOL, (ctypes.c_wchar_p, HANDLE)),
    "GetLengthSid": ("advapi32", DWORD, (HANDLE,)),
    "SetTokenInformation": ("advapi32", BOOL, (HANDLE, DWORD, HANDLE, DWORD)),
    "ConvertStringSecurityDescriptorToSecurityDescriptorW": (
        "advapi32", BOOL, (ctypes.c_wchar_p, DWORD, HANDLE, HANDLE),
    ),
    "GetSecurityDescriptorSacl": ("advapi32", BOOL, (HANDLE, HANDLE, HANDLE, HANDLE)),
    "SetNamedSecurityInfoW": (
        "advapi32", DWORD, (ctypes.c_wchar_p, DWORD, DWORD, HANDLE, HANDLE, HANDLE, HANDLE),
    ),
    "LocalFree": ("kernel32", HANDLE, (HANDLE,)),
    "CreateJobObjectW": ("kernel32", HANDLE, (HANDLE, HANDLE)),
    "SetInformationJobObject": ("kernel32", BOOL, (HANDLE, DWORD, HANDLE, DWORD)),
    "AssignProcessToJobObject": ("kernel32", BOOL, (HANDLE, HANDLE)),
    "GetStdHandle": ("kernel32", HANDLE, (DWORD,)),
    "SetHandleInformation": ("kernel32", BOOL, (HANDLE, DWORD, DWORD)),
    "InitializeProcThreadAttributeList": ("kernel32", BOOL, (HANDLE, DWORD, DWORD, HANDLE)),
    "UpdateProcThreadAttribute": ("kernel32", BOOL, (HANDLE, DWORD, SIZE, HANDLE, SIZE, HANDLE, HANDLE)),
    "DeleteProcThreadAttributeList": ("kernel32", None, (HANDLE,)),
    "CreateProcessAsUserW": (
        "advapi32", BOOL,
        (HANDLE, ctypes.c_wchar_p, HANDLE, HANDLE, HANDLE, BOOL, DWORD, HANDLE, ctypes.c_wchar_p, HANDLE, HANDLE),
    ),
    "ResumeThread": ("kernel32", DWORD, (HANDLE,)),
    "TerminateProcess": ("kernel32", BOOL, (HANDLE, DWORD)),
    "WaitForSingleObject": ("kernel32", DWORD, (HANDLE, DWORD)),
    "GetExitCodeProcess": ("kernel32", BOOL, (HANDLE, HANDLE)),
    "CloseHandle": ("kernel32", BOOL, (HANDLE,)),
}  # fmt: skip
_NO_STATUS = (
    "CloseHandle",
    "LocalFree",
    "DeleteProcThreadAttributeList",
    "GetCurrentProcess",
    "GetStdHandle",
)
_STATUS_IS_ERROR = ("SetNamedSecurityInfoW",)
_MINUS_ONE = ("ResumeThread", "WaitForSingleObject")


class Api:
    """The calls by name. One that fails raises OSError with its name and the system's error number."""

    def __init__(self, library: Callable[[str], Any], last_error: Callable[[], int]) -> None:
        self._library = library
        self._last_error = last_error

    def __call__(self, name: str, *args: Any) -> Any:
        place, result, kinds = _SIGNATURES[name]
        function = getattr(self._library(place), name)
        function.restype, function.argtypes = result, list(kinds)
        found = function(*args)
        if name in _STATUS_IS_ERROR:
            failed, number = bool(found), found
        else:
            failed = found == _FOREVER if name in _MINUS_ONE else not found and name not in _NO_STATUS
            number = self._last_error() if failed else 0
        if failed:
            raise OSError(number, f"{name} failed with error {number}")
        return found


def low_token(api: Api) -> Any:
    """This process's token without privileges and administration, at low integrity."""
    own, low = HANDLE(), HANDLE()
    api("OpenProcessToken", api("GetCurrentProcess"), _TOKEN_ACCESS, ctypes.byref(own))
    try:
        flags = _NO_PRIVILEGES | _LIMITED_USER
        api("CreateRestrictedToken", own, flags, 0, None, 0, None, 0, None, ctypes.byref(low))
    finally:
        api("CloseHandle", own)
    sid = HANDLE()
    api("ConvertStringSidToSidW", _LOW, ctypes.byref(sid))
    try:
        label = SidAndAttributes(sid, _INTEGRITY_GROUP)
        size = ctypes.sizeof(label) + api("GetLengthSid", sid)
        api("SetTokenInformation", low, _INTEGRITY, ctypes.byref(label), size)
    finally:
        api("LocalFree", sid)
    return low


def set_label(api: Api, path: str, words: str) -> None:
    """Give `path`, and what is made in it later, the mandatory label `words`."""
    descriptor, sacl = HANDLE(), HANDLE()
    present, defaulted = BOOL(), BOOL()
    api("ConvertStringSecurityDescriptorToSecurityDescriptorW", words, 1, ctypes.byref(descriptor), None)
    try:
        api(
            "GetSecurityDescriptorSacl",
            descriptor,
            ctypes.byref(present),
            ctypes.byref(sacl),
            ctypes.byref(defaulted),
        )
        api("SetNamedSecurityInfoW", path, _FILE_OBJECT, _LABEL, None, None, None, sacl)
    finally:
        api("LocalFree", descriptor)


def job_limits(limits: dict[str, int]) -> ExtendedLimits:
    """What the job holds its processes to; times in units of 100 ns."""
    found = ExtendedLimits()
    found.basic.flags = _KILL_ON_CLOSE | _NO_DIALOG
    if limits.get("processes"):
        found.basic.flags |= _PROCESSES
        found.basic.processes = limits["processes"]
    if limits.get("memory"):
        found.basic.flags |= _JOB_MEMORY
        found.job_memory = limits["memory"]
    if limits.get("cpu"):
        found.basic.flags |= _PROCESS_TIME
        found.basic.process_time = limits["cpu"] * 10_000_000
    return found


def make_job(api: Api, limits: dict[str, int]) -> Any:
    job = api("CreateJobObjectW", None, None)
    extended = job_limits(limits)
    api("SetInformationJobObject", job, _EXTENDED_LIMITS, ctypes.byref(extended), ctypes.sizeof(extended))
    screen = DWORD(_ALL_UI)
    api("SetInformationJobObject", job, _UI_LIMITS, ctypes.byref(screen), ctypes.sizeof(screen))
    return job


def block(env: dict[str, str]) -> Any:
    """An environment block: sorted without regard to case, ended by two zeros, UTF-16."""
    rows = sorted(env.items(), key=lambda row: row[0].upper())
    text = "".join(f"{name}={value}\0" for name, value in rows) + ("\0" if rows else "\0\0")
    data = text.encode("utf-16-le", "surrogatepass")
    return ctypes.create_string_buffer(data, len(data))


def start(api: Api, token: Any, plan: dict[str, Any], job: Any) -> Any:
    """The command as a process in the job, running. It inherits its three streams and nothing else."""
    handles = [api("GetStdHandle", DWORD(number).value) for number in _STANDARD]
    kept = [handle for handle in dict.fromkeys(handles) if handle]
    for handle in kept:
        api("SetHandleInformation", handle, _INHERIT, _INHERIT)
    size = SIZE()
    try:
        api("InitializeProcThreadAttributeList", None, 1, 0, ctypes.byref(size))
    except OSError:
        pass  # the first call only asks for the size, and fails by saying it
    room = ctypes.create_string_buffer(max(1, size.value))
    api("InitializeProcThreadAttributeList", room, 1, 0, ctypes.byref(size))
    child = ProcessInformation()
    try:
        listed = (HANDLE * len(kept))(*kept)
        if kept:
            api(
                "UpdateProcThreadAttribute",
                room,
                0,
                _HANDLE_LIST,
                listed,
                ctypes.sizeof(listed),
                None,
                None,
            )
        startup = StartupInfoEx()
        startup.info.cb = ctypes.sizeof(startup)
        startup.info.flags = _USE_STANDARD
        startup.info.stdin, startup.info.stdout, startup.info.stderr = handles
        startup.attributes = ctypes.addressof(room)
        line = (plan["line"] + "\0").encode("utf-16-le", "surrogatepass")
        words = ctypes.create_string_buffer(line, len(line))
        api(
            "CreateProcessAsUserW", token, None, words, None, None, 1, _CREATION, block(plan["env"]), plan["cwd"],
            ctypes.byref(startup), ctypes.byref(child),
        )  # fmt: skip
    finally:
        api("DeleteProcThreadAttributeList", room)
    try:
        api("AssignProcessToJobObject", job, child.process)
        api("ResumeThread", child.thread)
    except OSError:
        api("TerminateProcess", child.process, _OUT_OF_ORDER)
        raise
    finally:
        api("CloseHandle", child.thread)
    return child.process


def run(api: Api, plan: dict[str, Any]) -> int:
    """Label, start, wait; the exit status. Closing the job at the end kills whatever is left in it."""
    made: list[str] = []
    for kind in ("writable", "protected", "hidden"):  # stricter labels later: they lie inside the weaker ones
        for path in plan[kind]:
            if kind == "protected" and not os.path.lexists(path) and os.path.isdir(os.path.dirname(path)):
                os.mkdir(path)
                made.append(path)
            if os.path.lexists(path):
                set_label(api, path, LABELS[kind])
    token = low_token(api)
    job = make_job(api, plan["limits"])
    try:
        process = start(api, token, plan, job)
        status = DWORD()
        api("WaitForSingleObject", process, _FOREVER - 1)
        api("GetExitCodeProcess", process, ctypes.byref(status))
        api("CloseHandle", process)
    finally:
        api("CloseHandle", job)
        api("CloseHandle", token)
        for path in made:
            try:
                os.rmdir(path)
            except OSError:
                pass  # somebody's own by now
    return status.value


def main(text: str) -> int:
    """Run what the plan says. Anything that keeps the confinement from standing ends with 125, and nothing ran."""
    if sys.platform == "win32":
        try:
            libraries: dict[str, Any] = {}

            def library(name: str) -> Any:
                return libraries.setdefault(name, ctypes.WinDLL(name, use_last_error=True))

            return run(Api(library, ctypes.get_last_error), json.loads(text))
        except (OSError, ValueError, KeyError) as error:
            sys.stderr.write(f"the sandbox could not be built: {error}\n")
    else:
        sys.stderr.write("the sandbox could not be built: this is not Windows\n")
    return _OUT_OF_ORDER


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
