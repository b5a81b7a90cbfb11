#!/usr/bin/env python3
"""A throw-away virtual machine with a real Linux storage stack.

Boots Debian's stock kernel in QEMU's software emulation, so that neither root nor hardware
virtualisation is needed. The guest's root is the host's root, read-only, below a layer in
memory: every program that is installed or built on the host is there under the same path, and
nothing that the guest does reaches the host except through its disks and its shared folder.

By hand:  tests/vm/machine.py [--disk SIZE]... [--keep FILE]... -- COMMAND...
"""

import argparse
import os
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "standpipe-vm"

#: What the machine needs on the host: program -> Debian package.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "modprobe": "kmod",
    "udevadm": "udev",
    "lvm": "lvm2",
    "sfdisk": "fdisk",
    "thin_check": "thin-provisioning-tools",
    "setpriv": "util-linux",
    "targetctl": "python3-rtslib-fb",
}

#: Modules that must be there before the host's file system is.
BOOT_MODULES = ["virtio_pci", "9p", "9pnet_virtio", "overlay", "virtio_blk", "virtio_net", "virtio_rng"]

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MachineError(Exception):
    """The machine could not be made, did not boot, or did not answer in time."""


@dataclass
class Result:
    """How a command in the guest ended."""

    status: int
    out: str
    err: str


def missing_packages():
    """Debian packages that the host lacks."""
    return sorted({package for program, package in PROGRAMS.items()
                   if not shutil.which(program, path=SYSTEM_PATH)})


# --- kernel and initial file system, made once ------------------------------------------------

def kernel():
    """The unpacked kernel's folder and version, downloaded at the first call."""
    note = CACHE / "version"
    if not note.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        depends = subprocess.run(["apt-cache", "depends", "linux-image-amd64"],
                                 check=True, capture_output=True, text=True).stdout
        package = next((line.split()[-1] for line in depends.splitlines()
                        if "Depends: linux-image-" in line), None)
        if package is None:
            raise MachineError("apt knows no kernel package: run `apt-get update`")
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            # `_apt` may not write there; apt then downloads as the caller, with a warning.
            subprocess.run(["apt-get", "-qq", "download", package], cwd=work, check=True,
                           stderr=subprocess.DEVNULL)
            archive = next(Path(work).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive, f"{work}/kernel"], check=True)
            version = package.removeprefix("linux-image-")
            subprocess.run(["/usr/sbin/depmod", "-b", f"{work}/kernel", version], check=True)
            shutil.rmtree(CACHE / "kernel", ignore_errors=True)
            os.rename(f"{work}/kernel", CACHE / "kernel")
        note.write_text(version)
    return CACHE / "kernel", note.read_text().strip()


def initial_ram_disk(folder, version):
    """A gzipped cpio archive with busybox, the boot modules and `guest/init`."""
    made = CACHE / f"initrd-{version}.gz"
    init = HERE / "guest" / "init"
    if made.exists() and made.stat().st_mtime > init.stat().st_mtime:
        return made
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        tree = Path(work) / "tree"
        for d in ["bin", "proc", "sys", "dev", "lower", "layer", "root", "modules"]:
            (tree / d).mkdir(parents=True)
        shutil.copy(shutil.which("busybox", path=SYSTEM_PATH), tree / "bin" / "busybox")
        (tree / "bin" / "sh").symlink_to("busybox")
        shutil.copy(init, tree / "init")
        (tree / "init").chmod(0o755)
        for number, module in enumerate(module_files(folder, version)):
            shutil.copy(module, tree / "modules" / f"{number:03}-{Path(module).name}")
        names = subprocess.run(["find", "."], cwd=tree, check=True, capture_output=True).stdout
        packed = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=names,
                                check=True, capture_output=True).stdout
        archive = Path(work) / "initrd.gz"
        archive.write_bytes(subprocess.run(["gzip", "-1"], input=packed, check=True,
                                           capture_output=True).stdout)
        os.rename(archive, made)
    return made


def module_files(folder, version):
    """The boot modules' files with what they depend on, in the order in which to load them."""
    files = []
    for module in BOOT_MODULES:
        plan = subprocess.run(
            ["/usr/sbin/modprobe", "-d", folder, "-S", version, "--show-depends", module],
            check=True, capture_output=True, text=True).stdout
        for line in plan.splitlines():
            words = line.split()
            if words[0] == "insmod" and words[1] not in files:
                files.append(words[1])
    return files


# --- the machine ------------------------------------------------------------------------------

def free_port():
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def blank_disk(path, size):
    """Creates a sparse raw disk file of `size` bytes."""
    with open(path, "wb") as disk:
        disk.truncate(size)
    return Path(path)


class Machine:
    """One boot. Use as a context manager; leaving it powers off, or cuts the power on error.

    `disks` are raw files, in the guest `/dev/vda`, `/dev/vdb`, ..., each with the file's name as its
    serial number; they belong to the caller, so a second machine on the same files is a reboot. `ports` are guest ports; the host side of
    each, on 127.0.0.1, is in `self.port`. `limit` bounds the machine's whole life in seconds.
    """

    def __init__(self, disks, ports=(), memory=2048, limit=1800):
        missing = missing_packages()
        if missing:
            raise MachineError(f"Debian packages missing on this host: {' '.join(missing)}")
        self.disks = [Path(disk) for disk in disks]
        self.port = {guest: free_port() for guest in ports}
        self.memory = memory
        self.limit = limit
        self.jobs = 0
        self.finished = set()
        self.received = b""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="standpipe-vm-"))
        try:
            self.boot()
        except BaseException:
            self.power_cut()
            raise
        return self

    def __exit__(self, kind, _error, _trace):
        if kind is None:
            self.power_off()
        else:
            self.power_cut()

    def boot(self):
        """Starts QEMU and waits until the guest takes commands."""
        folder, version = kernel()
        ram_disk = initial_ram_disk(folder, version)
        shutil.copy(HERE / "guest" / "start", self.folder / "start")
        (self.folder / "settings").write_text(
            f"export PATH={SYSTEM_PATH} HOME=/root LC_ALL=C.UTF-8\n"
            f"SHARED={shlex.quote(str(self.folder))}\n"
            f"MODULES={shlex.quote(str(folder / 'lib' / 'modules'))}\n")
        share = "security_model=none,multidevs=remap"
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}"
                           for guest, host in self.port.items())
        line = str(self.folder / "line")
        command = [
            "timeout", "--foreground", str(self.limit),
            # The machine must not outlive this process, however it ends.
            "setpriv", "--pdeathsig", "KILL", "--",
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "2", "-m", str(self.memory),
            "-display", "none", "-monitor", "none", "-no-reboot", "-no-user-config", "-nodefaults",
            "-serial", f"file:{self.folder}/console",
            "-serial", f"unix:{line},server=on,wait=off",
            "-kernel", f"{folder}/boot/vmlinuz-{version}", "-initrd", str(ram_disk),
            "-append", "console=ttyS0 quiet loglevel=4 panic=-1 net.ifnames=0 "
                       f"guest={self.folder}/start",
            "-virtfs", f"local,path=/,mount_tag=host,readonly=on,{share}",
            "-virtfs", f"local,path={self.folder},mount_tag=shared,{share}",
            "-device", "virtio-rng-pci",
            "-nic", f"user,model=virtio-net-pci{forwards}",
        ]
        for number, disk in enumerate(self.disks):
            command += ["-drive", f"file={disk},if=none,id=disk{number},format=raw,cache=writethrough",
                        "-device", f"virtio-blk-pci,drive=disk{number},serial={disk.name}"]
        self.started = time.monotonic()
        # `timeout` stays the parent of QEMU and dies with us; QEMU dies with `timeout`.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command],
                                        stdin=subprocess.DEVNULL)
        self.line = self.connect(line)
        self.wait_for("ready", 180)

    def connect(self, path):
        """The guest's second serial line."""
        while time.monotonic() - self.started < 30:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(path)
                return line
            except (FileNotFoundError, ConnectionRefusedError):
                line.close()
                if self.process.poll() is not None:
                    raise MachineError(f"QEMU ended with status {self.process.returncode}")
                time.sleep(0.02)
        raise MachineError("QEMU did not open the serial line")

    def wait_for(self, message, seconds):
        """Reads the serial line until the guest has sent `message`."""
        end = time.monotonic() + seconds
        while message not in self.finished:
            left = end - time.monotonic()
            if left <= 0:
                raise MachineError(f"no {message!r} within {seconds} s\n{self.console()}")
            if not select.select([self.line], [], [], left)[0]:
                continue
            data = self.line.recv(4096)
            if not data:
                raise MachineError(f"the machine is gone\n{self.console()}")
            *lines, self.received = (self.received + data).split(b"\n")
            self.finished.update(line.decode(errors="replace").strip() for line in lines)
        self.finished.discard(message)

    def run(self, script, timeout=300, check=True):
        """Runs a bash script in the guest; raises when it fails, unless `check` is false."""
        self.jobs += 1
        job = self.folder / str(self.jobs)
        job.with_suffix(".sh").write_text(script + "\n")
        self.line.sendall(f"{self.jobs}\n".encode())
        self.wait_for(f"done {self.jobs}", timeout)
        result = Result(int(job.with_suffix(".status").read_text()),
                        job.with_suffix(".out").read_text(errors="replace"),
                        job.with_suffix(".err").read_text(errors="replace"))
        if check and result.status != 0:
            raise MachineError(f"status {result.status} from: {script}\n{result.out}{result.err}")
        return result

    def console(self):
        """The last lines of the guest's console."""
        try:
            text = (self.folder / "console").read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-30:])

    def power_off(self):
        """An orderly end: file systems synced, then off. Nothing if the power is cut already."""
        if self.process is None:
            return
        try:
            self.line.sendall(b"off\n")
            self.process.wait(60)
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.power_cut()

    def power_cut(self):
        """Ends the machine at once, as a power failure does; what disks were told stays."""
        process = getattr(self, "process", None)
        if process is not None:
            process.kill()
            process.wait()
            self.process = None
        line = getattr(self, "line", None)
        if line is not None:
            line.close()
            self.line = None
        shutil.rmtree(self.folder, ignore_errors=True)


def size(text):
    """`512M` or `2G` in bytes."""
    unit = {"K": 10, "M": 20, "G": 30}.get(text[-1:].upper())
    return int(text[:-1]) << unit if unit else int(text)


def main():
    """Runs one command in a machine of its own and passes on its status."""
    options = argparse.ArgumentParser(description="Run a command in the test machine.")
    options.add_argument("--disk", action="append", type=size, default=[], metavar="SIZE",
                         help="a blank disk of this size, forgotten afterwards")
    options.add_argument("--keep", action="append", default=[], metavar="FILE",
                         help="a raw disk file that outlives the machine")
    options.add_argument("--limit", type=int, default=600, metavar="SECONDS")
    options.add_argument("command", nargs="+")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as work:
        disks = [blank_disk(f"{work}/disk{n}", bytes) for n, bytes in enumerate(chosen.disk)]
        with Machine(disks + chosen.keep, limit=chosen.limit) as machine:
            result = machine.run(f"cd {shlex.quote(os.getcwd())}\n{shlex.join(chosen.command)}",
                                 timeout=chosen.limit, check=False)
    sys.stdout.write(result.out)
    sys.stderr.write(result.err)
    return result.status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (MachineError, subprocess.CalledProcessError) as error:
        sys.exit(f"machine: {error}")
