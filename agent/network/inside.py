"""Makes listening sockets inside the network of others: run by itself, isolated, once a session.

Each message on the socket whose number is the only argument is eight bytes that name it, with the descriptor
from which bubblewrap tells who its child is. The answer is the same eight bytes and `+` with the listener, or
`-` and why there is none. The program ends with the other side of the socket.
"""

import ctypes
import fcntl
import os
import re
import signal
import socket
import sys

_SECONDS = 15
_OWNER = 0xB701  # NS_GET_USERNS
_USER, _NET = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    address = (sys.argv[2], int(sys.argv[3]))
    libc = ctypes.CDLL(None, use_errno=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    while True:
        try:
            name, descriptors, _, _ = socket.recv_fds(channel, 8, 1)
        except InterruptedError:
            continue
        if not name:
            return
        # To enter the user namespace of another is final, so each time a new process does it.
        if len(descriptors) == 1 and os.fork() == 0:
            try:
                answer(channel, name, descriptors[0], address, libc)
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def answer(
    channel: socket.socket, name: bytes, told: int, address: tuple[str, int], libc: ctypes.CDLL
) -> None:
    signal.alarm(_SECONDS)
    try:
        listener = listen(child(told), address, libc)
    except (OSError, ValueError) as error:
        channel.send(name + b"-" + str(error).encode()[:300])
    else:
        socket.send_fds(channel, [name + b"+"], [listener.fileno()])


def child(told: int) -> int:
    """The child of bubblewrap, as bubblewrap tells it."""
    text = b""
    while b"}" not in text and len(text) < 4096 and (more := os.read(told, 4096)):
        text += more
    found = re.search(rb'"child-pid": *([0-9]{1,9})\b', text)
    if found is None or b"}" not in text:
        raise ValueError("the sandbox ended before it stood")
    return int(found.group(1))


def listen(process: int, address: tuple[str, int], libc: ctypes.CDLL) -> socket.socket:
    net = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if os.path.samestat(os.fstat(net), os.stat("/proc/self/ns/net")):
        raise ValueError("the sandbox has no network of its own")
    owner = fcntl.ioctl(net, _OWNER)
    for namespace, kind in ((owner, _USER), (net, _NET)):
        if libc.setns(namespace, kind) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(128)
    return listener


if __name__ == "__main__":
    main()
