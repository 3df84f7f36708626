# SPDX-License-Identifier: MIT
"""
Virtual machines with Debian's own kernel, on QEMU's software CPU.

What takes long is made once and kept below the build tree, in `vm/`: the kernel's package, the
modules that Debian's kernels lack built against its headers, and a daemon without sanitizers.
"""

import base64
import gzip
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import threading
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from waiting import wait_until

HERE = Path(__file__).parent
SOURCE = HERE.parent.parent
PARTS = HERE / "vm"

BUILD_S = 600


def run(*command: object, **options: object) -> str:
    """Runs a command to its end; returns what it printed."""
    result = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=BUILD_S,
        **options,  # type: ignore[arg-type]
    )
    if result.returncode != 0:
        words = " ".join(map(str, command))
        raise RuntimeError(f"{words} ended with {result.returncode}:\n{result.stdout}")
    return result.stdout


def missing() -> str | None:
    """Why there can be no machine here, or None."""
    if platform.machine() != "x86_64":
        return "the machine is made for amd64"
    for tool in ("qemu-system-x86_64", "busybox", "cpio", "modprobe", "apt-get", "make"):
        if not shutil.which(tool):
            return f"{tool} is missing: tests/install-packages vm"
    if not kernel_version():
        return "linux-headers-amd64 is missing: tests/install-packages vm"
    return None


def kernel_version() -> str | None:
    """Of the installed headers, "6.1.0-56-amd64": the kernel of the machine is the same."""
    result = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Depends}", "linux-headers-amd64"],
        capture_output=True,
        text=True,
    )
    found = re.match(r"linux-headers-(\S+)", result.stdout)
    return found[1] if found else None


class Kernel:
    """Debian's kernel, unpacked, with its modules and some that it lacks."""

    def __init__(self, cache: Path) -> None:
        version = kernel_version()
        assert version is not None
        self.version = version
        self.folder = cache / f"kernel-{version}"
        if not (self.folder / "complete").exists():
            self._unpack()
        self.image = self.folder / f"boot/vmlinuz-{version}"
        self.gpio_sim = self._gpio_sim(cache)
        self.dht11 = self._dht11(cache)

    def _unpack(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        run("apt-get", "-o", "APT::Sandbox::User=root", "download",
            f"linux-image-{self.version}", cwd=self.folder)
        (package,) = self.folder.glob("linux-image-*.deb")
        run("dpkg-deb", "-x", package, self.folder)
        package.unlink()
        run("depmod", "-b", self.folder, self.version)
        (self.folder / "complete").touch()

    def modules(self, names: Iterable[str]) -> list[Path]:
        """The files of modules and of all that they need, in the order in which they load."""
        files: dict[Path, None] = {}
        for name in names:
            told = run("modprobe", "-d", self.folder, "-S", self.version, "--show-depends", name)
            for line in told.splitlines():
                if line.startswith("insmod "):
                    files[Path(line.split()[1])] = None
        return list(files)

    def _source(self, folder: Path, *names: str) -> None:
        """Takes files out of the kernel's source."""
        tree = f"linux-source-{'.'.join(self.version.split('.')[:2])}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run("tar", "-C", folder, "-xf", f"/usr/src/{tree}.tar.xz", "--strip-components=1",
            *(f"{tree}/{name}" for name in names))
        for name in names:
            shutil.move(folder / name, folder)

    def _build(self, folder: Path) -> None:
        run("make", "-C", f"/usr/src/linux-headers-{self.version}", f"M={folder}", "modules")

    def _gpio_sim(self, cache: Path) -> Path:
        folder = cache / f"gpio-sim-{self.version}"
        module = folder / "gpio-sim.ko"
        if module.exists():
            return module
        self._source(folder, "drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h",
                     "kernel/irq/irq_sim.c")
        (folder / "gpio-sim.c").rename(folder / "gpio-sim-core.c")
        # The simulator of interrupts is in no kernel of Debian's, and what it calls is not exported.
        interrupts = folder / "irq_sim.c"
        text = interrupts.read_text()
        text = re.sub(r"^EXPORT_SYMBOL.*$", "", text, flags=re.M)
        text = text.replace("handle_simple_irq(irq_to_desc(irqnum))", "generic_handle_irq(irqnum)")
        interrupts.write_text(text)
        (folder / "Kbuild").write_text(
            "obj-m := gpio-sim.o\ngpio-sim-y := gpio-sim-core.o irq_sim.o\n"
        )
        self._build(folder)
        return module

    def _dht11(self, cache: Path) -> list[Path]:
        """The kernel's own driver of the DHT11, as it is, and a line with a sensor for it."""
        folder = cache / f"dht11-{self.version}"
        line = PARTS / "dht11_line.c"
        modules = [folder / "dht11.ko", folder / "dht11_line.ko"]
        if not modules[0].exists():
            self._source(folder, "drivers/iio/humidity/dht11.c")
        if not modules[1].exists() or modules[1].stat().st_mtime < line.stat().st_mtime:
            shutil.copy(line, folder)
            (folder / "Kbuild").write_text("obj-m := dht11.o dht11_line.o\n")
            self._build(folder)
        return modules


def plain_daemon(cache: Path) -> Path:
    """A daemon without sanitizers: in the machine each instruction counts."""
    folder = cache / "plain"
    if not (folder / "build.ninja").exists():
        run("meson", "setup", folder, SOURCE, "--prefix=/usr", "-Dtests=disabled",
            "-Dfirmware=disabled", "-Demulator=disabled")
    run("ninja", "-C", folder)
    return folder / "daemon/sensorgw"


def helper(cache: Path, name: str) -> Path:
    """A program for the machine: "dht11_sensor", "board"."""
    program = cache / name
    run("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-D_GNU_SOURCE", "-o", program,
        PARTS / f"{name}.c")
    return program


def libraries(program: Path) -> list[Path]:
    """What the program is linked with, the loader included."""
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", run("ldd", program))]


class Root:
    """The files of a machine."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        for name in ("bin", "dev", "proc", "sys", "tmp", "run", "modules"):
            (folder / name).mkdir(parents=True)

    def add(self, source: Path, target: str, mode: int = 0o755) -> None:
        path = self.folder / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)
        path.chmod(mode)

    def add_program(self, program: Path, target: str) -> None:
        self.add(program, target)
        for library in libraries(program):
            self.add(library, str(library))

    def add_modules(self, modules: Sequence[Path]) -> None:
        for i, module in enumerate(modules):
            self.add(module, f"/modules/{i:02}-{module.name}")

    def write(self, target: str, text: str) -> None:
        (self.folder / target.lstrip("/")).write_text(text)

    def pack(self, target: Path) -> Path:
        names = "".join(f"{path.relative_to(self.folder)}\n" for path in self.folder.rglob("*"))
        archive = subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"],
            cwd=self.folder, input=names.encode(), capture_output=True, check=True,
        )
        target.write_bytes(gzip.compress(archive.stdout, 1))
        return target


def packages_of(libraries: Iterable[Path]) -> list[str]:
    """The packages that hold these files."""
    found = set()
    for library in libraries:
        for name in (library, library.resolve(), Path("/usr") / str(library.resolve()).lstrip("/")):
            told = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
            if told.returncode == 0:
                found.add(told.stdout.split(":")[0])
                break
    return sorted(found)


class System:
    """A small Debian of this machine's release on a disk, with the service installed as it ships."""

    MODULES = ("configfs", "dummy_hcd", "libcomposite", "usb_f_acm", "cdc-acm", "ftdi_sio",
               "usbserial", "xhci_pci", "autofs4", "industrialio")
    PACKAGES = ("systemd-sysv", "udev", "kmod", "dbus", "mosquitto", "mosquitto-clients")
    DISK_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")

    def __init__(self, cache: Path, kernel: Kernel, daemon: Path, folder: Path) -> None:
        self.root = folder / "system"
        self._folder = folder
        self._kernel = kernel
        run("tar", "-C", self._made(folder / "system"), "-xpf", self._base(cache, daemon))
        for module in kernel.modules(self.MODULES):
            target = self.root / "lib/modules" / str(module).split("lib/modules/")[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(module, target)
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            shutil.copy(kernel.folder / "lib/modules" / kernel.version / name,
                        self.root / "lib/modules" / kernel.version)
        run("depmod", "-b", self.root, kernel.version)
        run("meson", "install", "-C", daemon.parent.parent, "--no-rebuild",
            env={**os.environ, "DESTDIR": str(self.root)})
        run("systemd-sysusers", f"--root={self.root}")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir()
        return folder

    @classmethod
    def _base(cls, cache: Path, daemon: Path) -> Path:
        packages = [*cls.PACKAGES, *packages_of(libraries(daemon))]
        archive = cache / f"base-{zlib.crc32(' '.join(packages).encode()):08x}.tar"
        if archive.exists():
            return archive
        release = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(), re.M)
        assert release is not None
        sources = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").iterdir()]
        fresh = archive.with_suffix(".new.tar")
        run("mmdebstrap", "--variant=essential", f"--include={','.join(packages)}", release[1],
            fresh, *(source for source in sources if source.exists() and source.stat().st_size))
        fresh.rename(archive)
        return archive

    def hand_over(self, *files: str) -> None:
        """To the service's group, and to nobody else."""
        groups = (self.root / "etc/group").read_text()
        found = re.search(r"^sensorgw:[^:]*:(\d+):", groups, re.M)
        assert found is not None
        for file in files:
            os.chown(self.root / file, 0, int(found[1]))
            (self.root / file).chmod(0o640)

    def enable(self, unit: Path) -> None:
        units = self.root / "etc/systemd/system"
        shutil.copy(unit, units)
        wants = units / "multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit.name).symlink_to(f"/etc/systemd/system/{unit.name}")

    def disk(self) -> Path:
        image = self._folder / "disk.img"
        run("mkfs.ext4", "-q", "-F", "-d", self.root, image, "800M")
        return image

    def initrd(self) -> Path:
        root = Root(self._folder / "initrd")
        root.add(Path("/bin/busybox"), "/bin/busybox")
        root.add(PARTS / "disk-init", "/init")
        root.add_modules(self._kernel.modules(self.DISK_MODULES))
        return root.pack(self._folder / "initrd.gz")


class Hands:
    """
    Plugs a USB-to-serial bridge (an FTDI) into a machine and pulls it out, as the machine itself asks
    on its second serial port, a line for each: "plug", "unplug". Any other line is what the board
    behind the bridge says.
    """

    SERIAL = "FT7533"

    def __init__(self, folder: Path) -> None:
        self._paths = {name: folder / f"{name}.socket" for name in ("orders", "bridge", "monitor")}
        self._is_plugged = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def arguments(self) -> list[object]:
        listen = {name: f"unix:{path},server=on,wait=off" for name, path in self._paths.items()}
        sockets = {name: f"socket,id={name},path={path},server=on,wait=off"
                   for name, path in self._paths.items()}
        return ["-chardev", sockets["orders"], "-serial", "chardev:orders",
                "-chardev", sockets["bridge"], "-qmp", listen["monitor"],
                "-device", "qemu-xhci,id=usb,addr=0x10"]

    def begin(self) -> None:
        self._thread.start()

    def _connect(self, name: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        wait_until(lambda: self._paths[name].exists(), BUILD_S, f"QEMU's {name}")
        connection.connect(str(self._paths[name]))
        return connection

    def _work(self) -> None:
        """Ends with the machine."""
        try:
            with (
                self._connect("orders") as orders,
                self._connect("bridge") as bridge,
                self._connect("monitor") as monitor,
            ):
                told = monitor.makefile("rw", newline="\n")
                told.readline()
                self._ask(told, "qmp_capabilities")
                for line in orders.makefile("r", errors="replace"):
                    self._obey(line.strip(), told, bridge)
        except ConnectionError:
            pass

    def _obey(self, order: str, monitor: Any, bridge: socket.socket) -> None:
        if order in ("plug", "unplug"):
            self._is_plugged = order == "plug"
        if order == "plug":
            self._ask(monitor, "device_add", driver="usb-serial", id="ftdi", chardev="bridge",
                      serial=self.SERIAL, bus="usb.0", port="1", **{"always-plugged": True})
        elif order == "unplug":
            self._ask(monitor, "device_del", id="ftdi")
        elif self._is_plugged:
            bridge.sendall(f"{order}\r\n".encode())

    @staticmethod
    def _ask(monitor: Any, command: str, **arguments: object) -> None:
        monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        monitor.flush()
        while line := monitor.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return


def boot(
    kernel: Path, initrd: Path, console: Path, timeout: float, arguments: Sequence[object] = (),
    append: str = "",
) -> str:
    """Runs a machine until it switches itself off; returns what it wrote to its console."""
    command: list[object] = [
        "qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-m", "768", "-nodefaults",
        "-no-user-config", "-display", "none", "-serial", f"file:{console}", "-no-reboot",
        "-kernel", kernel, "-initrd", initrd,
        "-append", f"console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off {append}",
        *arguments,
    ]
    # It ends with this process, whatever happens to it.
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(console.parent)},
    )
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise TimeoutError(
            f"the machine has not ended after {timeout:g} s:\n{console.read_text(errors='replace')}"
        ) from None
    return console.read_text(errors="replace").replace("\r", "")


def part(console: str, mark: str) -> bytes:
    """What stands in base64 between BEGIN mark and END mark."""
    found = re.search(rf"^BEGIN {mark}\n(.*?)^END {mark}$", console, re.M | re.S)
    assert found is not None, f"no {mark} on the console:\n{console[-4000:]}"
    return base64.b64decode(found[1])
