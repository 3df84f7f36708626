# SPDX-License-Identifier: MIT
"""Stands in for the daemon under its unit, and tries what the sandbox is about.

For each thing one line: what happened, what should have, and what it was. Runs in a container that
has Python and nothing else.
"""

import ctypes
import mmap
import os
import socket
import subprocess
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET = 0x10000000, 0x00020000, 0x40000000
PROT_ALL = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
PRIVATE_ANONYMOUS = 0x22
AF_PACKET, AF_NETLINK, AF_BLUETOOTH, AF_VSOCK = 17, 16, 31, 40
SCHED_FIFO = 1
ADJ_OFFSET = 0x0001
FINIT_MODULE = {"x86_64": 313, "aarch64": 273}.get(os.uname().machine, 379)


def read(path: str) -> Callable[[], None]:
    def attempt() -> None:
        with open(path, "rb") as file:
            file.read(1)

    return attempt


def write(path: str) -> Callable[[], None]:
    def attempt() -> None:
        with open(path, "w") as file:
            file.write("x")
        os.unlink(path)

    return attempt


def overwrite(path: str) -> Callable[[], None]:
    def attempt() -> None:
        os.close(os.open(path, os.O_WRONLY))

    return attempt


def c(name: str, *arguments: object) -> Callable[[], None]:
    def attempt() -> None:
        ctypes.set_errno(0)
        if getattr(libc, name)(*arguments) == -1:
            raise OSError(ctypes.get_errno(), name)

    return attempt


def map_writable_and_executable() -> None:
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    if libc.mmap(None, 4096, PROT_ALL, PRIVATE_ANONYMOUS, -1, 0) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")


def open_socket(family: int, kind: int = socket.SOCK_RAW,
                protocol: int = 0) -> Callable[[], None]:  # fmt: skip
    return lambda: socket.socket(family, kind, protocol).close()


def ask_timedated() -> None:
    """Whether the clock is synchronised, as the daemon does."""
    subprocess.run(
        ["busctl", "get-property", "org.freedesktop.timedate1", "/org/freedesktop/timedate1",
         "org.freedesktop.timedate1", "NTPSynchronized"],
        check=True, stdout=subprocess.DEVNULL, timeout=30,
    )  # fmt: skip


def set_clock() -> None:
    timex = (ctypes.c_uint * 64)()
    timex[0] = ADJ_OFFSET
    c("adjtimex", timex)()


def make_suid() -> None:
    path = "/var/lib/sensorgw/probe"
    try:
        with open(path, "w"):
            pass
        os.chmod(path, 0o4755)
    finally:
        os.unlink(path)


def see(path: str) -> Callable[[], None]:
    def attempt() -> None:
        os.stat(path)

    return attempt


def find_secret() -> None:
    if "secret" not in os.listdir("/tmp"):
        raise OSError(2, "not there")


FORBIDDEN: dict[str, Callable[[], object]] = {
    "read /etc/shadow": read("/etc/shadow"),
    "read /home/secret": read("/home/secret"),
    "read /root/secret": read("/root/secret"),
    "see another's /tmp": find_secret,
    "write /etc": write("/etc/probe"),
    "write /etc/sensorgw": write("/etc/sensorgw/probe"),
    "overwrite its own key": overwrite("/etc/sensorgw/gateway.key"),
    "overwrite its own program": overwrite("/usr/bin/sensorgw"),
    "write /usr": write("/usr/probe"),
    "write /opt": write("/opt/probe"),
    "write /var": write("/var/lib/probe"),
    "write /run": write("/run/probe"),
    "write /boot": write("/boot/probe"),
    "write /sys": overwrite("/sys/kernel/mm/transparent_hugepage/enabled"),
    "write /proc/sys": overwrite("/proc/sys/kernel/hostname"),
    "write a control group": write("/sys/fs/cgroup/probe"),
    "see process 1": see("/proc/1/status"),
    "read the kernel's symbols": read("/proc/kallsyms"),
    "read the kernel's log": read("/dev/kmsg"),
    "read memory": read("/dev/mem"),
    "map memory to write and execute": map_writable_and_executable,
    "make a user namespace": c("unshare", CLONE_NEWUSER),
    "make a mount namespace": c("unshare", CLONE_NEWNS),
    "make a network namespace": c("unshare", CLONE_NEWNET),
    "open a packet socket": open_socket(AF_PACKET),
    "open a netlink socket": open_socket(AF_NETLINK),
    "open a bluetooth socket": open_socket(AF_BLUETOOTH),
    "open a vsock socket": open_socket(AF_VSOCK, socket.SOCK_STREAM),
    "open a raw socket": open_socket(socket.AF_INET, protocol=socket.IPPROTO_ICMP),
    "run with real-time priority": lambda: os.sched_setscheduler(0, SCHED_FIFO, os.sched_param(1)),
    "raise its priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
    "become root": lambda: os.setuid(0),
    "change an owner": lambda: os.chown("/var/lib/sensorgw", 0, 0),
    "make a set-user-id file": make_suid,
    "set the clock": set_clock,
    "set the host's name": c("sethostname", b"probe", 5),
    "mount": c("mount", b"none", b"/mnt", b"tmpfs", 0, None),
    "load a module": c("syscall", FINIT_MODULE, -1, b"", 0),
    "change root": lambda: os.chroot("/var/lib/sensorgw"),
    "trace its parent": c("ptrace", 16, os.getppid(), None, None),
    "change its personality": c("personality", 0x0008),
    "make a device": lambda: os.mknod("/var/lib/sensorgw/probe", 0o20600, os.makedev(1, 3)),
    "swap on": c("swapon", b"/var/lib/sensorgw/probe", 0),
    "reboot": c("reboot", 0),
}

NEEDED: dict[str, Callable[[], object]] = {
    "read its configuration": read("/etc/sensorgw.conf"),
    "read its key": read("/etc/sensorgw/gateway.key"),
    "read the boot id": read("/proc/sys/kernel/random/boot_id"),
    "read the clock's state": ask_timedated,
    "write its state": write("/var/lib/sensorgw/probe"),
    "write its runtime folder": write(os.environ.get("RUNTIME_DIRECTORY", "/run/none") + "/probe"),
    "resolve a name": lambda: socket.getaddrinfo("localhost", 8883),
    "connect to the broker": lambda: socket.create_connection(("localhost", 8883), 5).close(),
    "open a local socket": open_socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    "open IPv6": open_socket(socket.AF_INET6, socket.SOCK_STREAM),
    "read the certificates of the system": read("/etc/ssl/certs/ca-certificates.crt"),
    "see the boards of the system": lambda: os.listdir("/sys/class/tty"),
}


def happened(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, subprocess.SubprocessError) as error:
        return f"denied {{}} ({os.strerror(getattr(error, 'errno', 0) or 0)})"
    return "allowed {}"


def main() -> None:
    for should, attempts in (("denied", FORBIDDEN), ("allowed", NEEDED)):
        for what, attempt in attempts.items():
            print(happened(attempt).format(f"{should} {what}"), flush=True)


if __name__ == "__main__":
    main()
