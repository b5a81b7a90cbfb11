"""Many clients at once that make, grow, copy, restore, mirror, move, show, hide and delete at random.

Each client knows what its own volumes must be: that is the model. Every answer must be done, a job
that ends, or a refusal with a sentence; wrong wishes must be refused. In the end the array must be
what the models say together, and after everything was deleted what it was at the start.

    crowd.py URL                              eight clients for a few seconds
    crowd.py URL --clients 64 --seconds 600   as many as an array may meet, for ten minutes
"""

import random
import re
import threading
import time
from dataclasses import dataclass, field

import pywbem

import discovery
from harness import (
    ALREADY_EXISTS, DONE, FAILED, JOB_STARTED, MIB, SIZE_NOT_SUPPORTED, Checks, connect, finished_job,
    parser,
)

SIZE = 4 * MIB
#: How much of the pool all volumes of a client may take together.
MOST = 4
SNAPSHOT, CLONE, RESTORE = 7, 8, 15
IN_USE = 6
#: What a refusal says that means nothing but this.
AGAIN = "try again when it has ended"
#: How long one answer may take at least, and for each client: behind everybody else's on a slow machine.
PATIENCE, PATIENCE_FOR_EACH = 300, 20


def causes(error):
    """What happened, and what it came from: a client's library tells but the last of it."""
    while error is not None:
        yield f"{type(error).__name__}: {error}"
        error = error.__cause__ or error.__context__


@dataclass
class Volume:
    """What a client knows of a volume of its own."""

    path: pywbem.CIMInstanceName
    size: int
    is_shown: bool = False
    source: str = None
    copies: int = 1

    @property
    def takes(self):
        """Bytes of the pool."""
        return self.size * self.copies


@dataclass
class Tally:
    """What the clients met, together."""

    answers: dict = field(default_factory=dict)
    surprises: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what):
        with self.lock:
            self.answers[what] = self.answers.get(what, 0) + 1

    def surprise(self, text):
        with self.lock:
            self.surprises.append(text)


class Client:
    """One client: its connection, its dice, and the volumes that only it changes."""

    def __init__(self, crowd, number):
        self.crowd, self.number = crowd, number
        self.dice = random.Random(f"{crowd.seed}-{number}")
        self.connection = None
        self.volumes, self.made, self.goals, self.why = {}, 0, {}, ""

    def connect(self):
        """Opens its connection, which a server does not keep while it is silent for long."""
        self.connection = self.crowd.connect()
        self.connection.GetInstance(self.crowd.array.system)

    def run(self, end):
        """Acts until the time is over; a surprise ends it."""
        try:
            while time.monotonic() < end:
                self.act()
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            self.crowd.tally.surprise(f"client {self.number}: {' from '.join(causes(error))}")

    def act(self):
        """One wish."""
        wishes = [self.create] if not self.volumes else [
            self.create, self.grow, self.show, self.hide, self.delete, self.rename, self.take_a_name]
        if self.volumes and self.crowd.replication is not None:
            wishes += [self.copy, self.restore]
        if self.volumes and self.crowd.relocation is not None:
            wishes += [self.move, self.mirror]
        self.dice.choice(wishes)()

    def insist(self, wish, *call, **words):
        """As `ask`, again and again for as long as it is told to try again."""
        end = time.monotonic() + self.crowd.patience
        code, outputs = self.ask(wish, *call, **words)
        while code != DONE and AGAIN in self.why and time.monotonic() < end:
            code, outputs = self.ask(wish, *call, **words)
        return code, outputs

    def ask(self, wish, method, path, **words):
        """The answer: (code, outputs), all of it done or refused; why, the client remembers."""
        self.why = ""
        try:
            code, outputs = self.connection.InvokeMethod(method, path, **words)
        except pywbem.CIMError as error:
            self.why = (error.status_description or "").strip()
            if len(self.why) < 10:
                self.crowd.tally.surprise(f"{wish} was refused without a sentence: {error}")
            job = self.job_in(self.why)
            if job is None:
                self.crowd.tally.note(f"{wish} refused")
                return error.status_code, {}
            code, outputs = JOB_STARTED, {"Job": job}
        if code == JOB_STARTED:
            job = finished_job(self.connection, outputs["Job"], self.crowd.patience)
            code = DONE if job["JobState"] == 7 else job["ErrorCode"] or FAILED
            self.why = job.get("ErrorDescription") or ""
            if code != DONE and not self.why:
                self.crowd.tally.surprise(f"the job of {wish} failed without a sentence")
        self.crowd.tally.note(f"{wish} {'done' if code == DONE else 'refused'}")
        return code, outputs

    def job_in(self, why):
        """The job as which something goes on that did not end within the call, if that is so."""
        found = re.search(r"goes on as job ([\w-]+)", why)
        jobs = self.connection.EnumerateInstanceNames(
            "CIM_ConcreteJob", namespace=self.crowd.array.namespace) if found else []
        return next((path for path in jobs if path["InstanceID"].endswith(found[1])), None)

    def expect(self, is_right, text):
        if not is_right:
            self.crowd.tally.surprise(f"client {self.number}: {text} {self.why}".strip())

    def any_volume(self):
        return self.dice.choice(sorted(self.volumes.items()))

    def new_name(self):
        self.made += 1
        return f"crowd-{self.number}-{self.made}"

    def find(self, name):
        """The path of a volume by its name."""
        found = [item.path for item in self.connection.EnumerateInstances(
            "CIM_StorageVolume", namespace=self.crowd.array.namespace, PropertyList=["ElementName"])
            if item["ElementName"] == name]
        self.expect(len(found) == 1, f"{name} was made, and there are {len(found)}")
        return found[0]

    def is_full(self):
        return sum(volume.takes for volume in self.volumes.values()) >= MOST * SIZE

    def create(self):
        if self.is_full():
            return
        name = self.new_name()
        code, outputs = self.insist(
            "create", "CreateOrModifyElementFromStoragePool", self.crowd.array.configuration,
            ElementName=name, ElementType=pywbem.Uint16(2), InPool=self.crowd.pool,
            Size=pywbem.Uint64(SIZE))
        if code == DONE:
            self.volumes[name] = Volume(outputs.get("TheElement") or self.find(name), SIZE)
        else:
            self.expect(code in (SIZE_NOT_SUPPORTED, FAILED), f"create ended in {code}")

    def copy(self):
        """A snapshot or a clone of one of its volumes."""
        source, volume = self.any_volume()
        if volume.source or self.is_full():
            return
        name, kind = self.new_name(), self.dice.choice([SNAPSHOT, CLONE])
        code, outputs = self.ask(
            "snapshot" if kind == SNAPSHOT else "clone", "CreateElementReplica", self.crowd.replication,
            ElementName=name, SyncType=pywbem.Uint16(kind), SourceElement=volume.path)
        if code == DONE:
            path = outputs.get("TargetElement") or self.find(name)
            self.volumes[name] = Volume(path, volume.size)
            if kind == SNAPSHOT:
                self.volumes[name].source = source
            else:
                # It lies as its source does.
                self.volumes[name].copies = volume.copies

    def restore(self):
        """What hosts see is never overwritten."""
        name, volume = self.any_volume()
        if volume.source is None:
            return
        relation, = self.connection.ReferenceNames(
            volume.path, ResultClass="CIM_StorageSynchronized", Role="SyncedElement")
        code, _ = self.ask("restore", "ModifyReplicaSynchronization", self.crowd.replication,
                           Operation=pywbem.Uint16(RESTORE), Synchronization=relation)
        if self.volumes[volume.source].is_shown:
            self.expect(code != DONE, f"{volume.source} was overwritten although it is shown")
        else:
            self.expect(code in (DONE, FAILED, IN_USE), f"restore from {name} ended in {code}")

    def goal(self, copies):
        """A setting that asks for so many copies."""
        if copies not in self.goals:
            abilities, = self.connection.AssociatorNames(
                self.crowd.pool, AssocClass="CIM_ElementCapabilities",
                ResultClass="CIM_StorageCapabilities")
            _, outputs = self.connection.InvokeMethod(
                "CreateSetting", abilities, SettingType=pywbem.Uint16(3))
            setting = outputs["NewSetting"]
            values = {"DataRedundancyGoal": pywbem.Uint16(copies),
                      "PackageRedundancyGoal": pywbem.Uint16(copies - 1)}
            self.connection.ModifyInstance(
                pywbem.CIMInstance(setting.classname, values, path=setting), PropertyList=list(values))
            self.goals[copies] = setting
        return self.goals[copies]

    def mirror(self):
        """One of its volumes gains a copy, or loses it."""
        name, volume = self.any_volume()
        if self.is_full() and volume.copies == 1:
            return
        copies = 3 - volume.copies
        code, _ = self.ask(
            "mirror", "CreateOrModifyElementFromStoragePool", self.crowd.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=volume.path, Goal=self.goal(copies))
        if code == DONE:
            self.expect(volume.source is None and not self.is_source(name),
                        f"{name} hangs together with another and was mirrored")
            volume.copies = copies

    def move(self):
        """One of its volumes goes to another disk."""
        _, volume = self.any_volume()
        based = self.connection.AssociatorNames(
            volume.path, AssocClass="CIM_BasedOn", Role="Dependent")
        here = {path["DeviceID"] for path in based}
        others = [path for path in self.crowd.extents if path["DeviceID"] not in here]
        if not others:
            return
        other = self.dice.choice(others)
        code, _ = self.ask(
            "move", "RelocateStorageVolumeToStorageExtents", self.crowd.relocation,
            TheElement=volume.path, InElements=[other])
        if code == DONE:
            based = self.connection.AssociatorNames(
                volume.path, AssocClass="CIM_BasedOn", Role="Dependent")
            self.expect([path["DeviceID"] for path in based] == [other["DeviceID"]],
                        "it does not lie where it was moved to")

    def is_source(self, name):
        return any(volume.source == name for volume in self.volumes.values())

    def grow(self):
        name, volume = self.any_volume()
        size = volume.size + SIZE
        code, _ = self.ask(
            "grow", "CreateOrModifyElementFromStoragePool", self.crowd.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=volume.path, Size=pywbem.Uint64(size))
        if code == DONE:
            volume.size = size
        else:
            is_told = code in (SIZE_NOT_SUPPORTED, FAILED) or volume.source or self.is_source(name)
            self.expect(is_told, f"grow ended in {code}")

    def rename(self):
        name, volume = self.any_volume()
        if self.is_source(name):
            return
        new = self.new_name()
        code, _ = self.insist(
            "rename", "CreateOrModifyElementFromStoragePool", self.crowd.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=volume.path, ElementName=new)
        self.expect(code == DONE, f"rename ended in {code}")
        if code == DONE:
            self.volumes[new] = self.volumes.pop(name)

    def take_a_name(self):
        """A name that is in use is refused."""
        name, _ = self.any_volume()
        code, _ = self.insist(
            "a second of the name", "CreateOrModifyElementFromStoragePool",
            self.crowd.array.configuration, ElementName=name, ElementType=pywbem.Uint16(2),
            InPool=self.crowd.pool, Size=pywbem.Uint64(SIZE))
        self.expect(code == ALREADY_EXISTS, f"a second volume of the name ended in {code}")

    def show(self):
        _, volume = self.any_volume()
        code, _ = self.insist("show", "AddMembers", self.crowd.array.masking,
                              MaskingGroup=self.crowd.groups[4], Members=[volume.path])
        self.expect(code == DONE or volume.is_shown, f"show ended in {code}")
        volume.is_shown = volume.is_shown or code == DONE

    def hide(self):
        _, volume = self.any_volume()
        if not volume.is_shown:
            return
        code, _ = self.insist("hide", "RemoveMembers", self.crowd.array.masking,
                              MaskingGroup=self.crowd.groups[4], Members=[volume.path],
                              DeleteOnEmpty=False)
        self.expect(code == DONE, f"hide ended in {code}")
        volume.is_shown = False

    def delete(self):
        """What hosts see is never deleted; what copies depend on neither."""
        name, volume = self.any_volume()
        code, _ = self.insist("delete", "ReturnToStoragePool", self.crowd.array.configuration,
                              TheElement=volume.path)
        if volume.is_shown:
            self.expect(code != DONE, f"{name} was deleted although it is shown")
        elif self.is_source(name):
            self.expect(code in (DONE, IN_USE, FAILED), f"delete of a source ended in {code}")
        else:
            self.expect(code == DONE, f"delete ended in {code}")
        if code == DONE:
            del self.volumes[name]
            for other in self.volumes.values():
                other.source = None if other.source == name else other.source

    def clear(self):
        """Deletes all that it has, copies first."""
        for volume in self.volumes.values():
            if volume.is_shown:
                self.insist("hide", "RemoveMembers", self.crowd.array.masking,
                            MaskingGroup=self.crowd.groups[4], Members=[volume.path], DeleteOnEmpty=False)
        for _, volume in sorted(self.volumes.items(), key=lambda each: each[1].source is None):
            code, _ = self.insist("delete", "ReturnToStoragePool", self.crowd.array.configuration,
                                  TheElement=volume.path)
            self.expect(code == DONE, f"the last delete ended in {code}")
        self.volumes = {}
        for goal in self.goals.values():
            self.connection.DeleteInstance(goal)


class Crowd:
    """All clients, and what they share: a pool, and the device group of a view."""

    def __init__(self, chosen, checks):
        self.chosen, self.checks, self.seed = chosen, checks, chosen.seed
        self.tally = Tally()
        self.patience = max(PATIENCE, PATIENCE_FOR_EACH * chosen.clients)
        self.connection = self.connect()
        self.array = discovery.discover(self.connection)
        self.pool = self.array.thick_pool(4 * SIZE)
        self.replication = self.service("CIM_ReplicationService")
        self.relocation = self.service("CIM_StorageRelocationService")
        self.extents = self.connection.AssociatorNames(
            self.pool, AssocClass="CIM_AssociatedComponentExtent", Role="GroupComponent")
        self.groups = {}
        self.before = self.picture()

    def connect(self):
        """A connection for answers that take their time."""
        connection = connect(self.chosen)
        connection.timeout = self.patience
        return connection

    def service(self, classname):
        """A service that the array may have."""
        found = self.connection.AssociatorNames(
            self.array.system, AssocClass="CIM_HostedService", ResultClass=classname)
        return found[0] if found else None

    def picture(self):
        """What the array has: its volumes with sizes and copies, and the room that is left."""
        volumes = {item["ElementName"]: (item["BlockSize"] * item["NumberOfBlocks"], item["DataRedundancy"])
                   for item in self.array.enumerate("CIM_StorageVolume")}
        return volumes, self.connection.GetInstance(self.pool)["RemainingManagedSpace"]

    def prepare(self):
        """A view with a device group that everybody adds to and takes from."""
        masking, host = self.array.masking, "iqn.2026-11.example.crowd:host"
        _, outputs = self.connection.InvokeMethod(
            "CreateStorageHardwareID", self.array.hardware_ids, ElementName="crowd", StorageID=host,
            IDType=pywbem.Uint16(5))
        self.host = outputs["HardwareID"]
        for kind, members in {2: [self.host], 3: self.array.target_endpoints()[:1], 4: []}.items():
            _, outputs = self.connection.InvokeMethod(
                "CreateGroup", masking, GroupName="crowd", Type=pywbem.Uint16(kind), Members=members,
                DeleteOnEmpty=False)
            self.groups[kind] = outputs["MaskingGroup"]
        _, outputs = self.connection.InvokeMethod(
            "CreateMaskingView", masking, ElementName="crowd", InitiatorMaskingGroup=self.groups[2],
            TargetMaskingGroup=self.groups[3], DeviceMaskingGroup=self.groups[4])
        self.view = outputs["ProtocolController"]

    def run(self):
        """Lets them all act, and compares."""
        checks, chosen = self.checks, self.chosen
        self.prepare()
        clients = [Client(self, number) for number in range(chosen.clients)]
        end = time.monotonic() + chosen.seconds
        self.together(clients, lambda client: client.run(end))
        self.connection = self.array.connection = self.connect()
        self.compare(clients)
        self.together(clients, Client.clear)
        self.connection = self.array.connection = self.connect()
        self.connection.InvokeMethod("DeleteMaskingView", self.array.masking, ProtocolController=self.view)
        for group in self.groups.values():
            self.connection.InvokeMethod("DeleteGroup", self.array.masking, MaskingGroup=group, Force=True)
        self.connection.InvokeMethod("DeleteStorageHardwareID", self.array.hardware_ids,
                                     HardwareID=self.host)
        checks.equal(self.picture(), self.before, "after all deletes the array is as it was")
        jobs = self.array.enumerate("CIM_ConcreteJob")
        checks.that(all(job["JobState"] > 6 for job in jobs), "no job is left running")
        checks.equal(self.tally.surprises[:20], [], "every answer was done, a job, or a truthful refusal")
        told = ", ".join(f"{what} {count}" for what, count in sorted(self.tally.answers.items()))
        checks.section(f"{chosen.clients} clients in {chosen.seconds} s: {told}")
        checks.that(sum(self.tally.answers.values()) >= chosen.clients, "everybody was answered")

    def together(self, clients, act):
        for client in clients:
            # One after the other: whom a listener has no place for in its queue is cut off later on.
            client.connect()
        threads = [threading.Thread(target=act, args=[client], daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.chosen.seconds + 2 * self.patience)
        self.checks.that(not any(thread.is_alive() for thread in threads), "everybody came to an end")

    def compare(self, clients):
        """No update was lost: the array is what the clients know, and the view shows what it should."""
        checks = self.checks
        volumes, _ = self.picture()
        known = {name: (volume.size, volume.copies) for client in clients for name, volume in client.volumes.items()}
        found = {name: size for name, size in volumes.items() if name not in self.before[0]}
        checks.equal(found, known, "the array has the volumes that the clients know")
        shown = self.connection.AssociatorNames(
            self.view, AssocClass="CIM_ProtocolControllerForUnit", ResultClass="CIM_StorageVolume")
        wanted = {volume.path["DeviceID"] for client in clients for volume in client.volumes.values()
                  if volume.is_shown}
        checks.equal({path["DeviceID"] for path in shown}, wanted, "and shows those that they show")


def main():
    """The command line."""
    words = parser(__doc__)
    words.add_argument("--clients", type=int, default=8)
    words.add_argument("--seconds", type=float, default=8)
    words.add_argument("--seed", default="1", help="what the dice begin with")
    chosen = words.parse()
    checks = Checks("crowd", chosen.verbose)
    checks.step(Crowd(chosen, checks).run)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
