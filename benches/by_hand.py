"""Creates, grows and deletes volumes with LVM alone, as `storage.py` has it beside the gateway.

    by_hand.py shell|started TIMES SIZE GROWN

Prints the median milliseconds of each work. Runs as root on a machine with the volume group `vg0`,
whose private LVM configuration the gateway has written.
"""

import json
import statistics
import subprocess
import sys
import time

CONFIGURATION = "/run/standpipe/lvm"
MARK = "standpipe.job=bench"
CREATE = "lvcreate -y -ay -Wy -Zy --setautoactivation n --type linear --addtag " + MARK


class Shell:
    """One `lvm` shell that stays, as the gateway has it: a document answers each line."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["lvm"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={"LVM_SYSTEM_DIR": CONFIGURATION, "LVM_REPORT_FD": "1", "LVM_OUT_FD": "2", "LC_ALL": "C",
                 "PATH": "/usr/sbin:/usr/bin", "LVM_SUPPRESS_FD_WARNINGS": "1"})

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        text = ""
        while True:
            text += self.process.stdout.readline()
            try:
                document = json.loads(text)
            except ValueError:
                continue
            if document["log"][-1]["log_ret_code"] != "1":
                sys.exit(f"{line}: {document}")
            return


def started(line):
    """A process of its own, with the host's configuration."""
    subprocess.run(line.split(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def zero(name):
    subprocess.run(["blkdiscard", "-z", f"/dev/vg0/{name}"], check=True)


def create(lvm, size):
    lvm(f"{CREATE} -n bench -L {size}b vg0")
    zero("bench")
    lvm(f"lvchange --deltag {MARK} vg0/bench")


def grow(lvm, size, grown):
    lvm(f"{CREATE} -n reserve -L {grown - size}b vg0")
    zero("reserve")
    lvm("lvremove -y vg0/reserve")
    lvm(f"lvextend -y -L {grown}b vg0/bench")


def delete(lvm):
    lvm(f"lvchange --addtag {MARK} vg0/bench")
    lvm("lvremove -y vg0/bench")


def main():
    how, times, size, grown = sys.argv[1], *map(int, sys.argv[2:])
    lvm = Shell() if how == "shell" else started
    taken = {"create": [], "grow": [], "delete": []}
    for _ in range(times):
        for work, call in [("create", lambda: create(lvm, size)), ("grow", lambda: grow(lvm, size, grown)),
                           ("delete", lambda: delete(lvm))]:
            began = time.monotonic()
            call()
            taken[work].append((time.monotonic() - began) * 1e3)
    print(json.dumps({work: statistics.median(values) for work, values in taken.items()}))


if __name__ == "__main__":
    main()
