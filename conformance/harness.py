"""What the conformance scripts share: options, counting, and looking at a server as a whole.

Nothing here knows Standpipe: a server is a URL and credentials, its classes are the `CIM_` ones.
"""

import argparse
import os
import sys
import time
import traceback
import warnings

import pywbem

from dtd import ValidatingConnection

# A volume of 64 MiB, the size that every scenario works with.
MIB = 1024 * 1024

# What a CIM method answers when it did everything, and when it goes on as a job.
DONE = 0
JOB_STARTED = 4096
SIZE_NOT_SUPPORTED = 4097

# Seconds between two looks at a job.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 2.0

# CIM status codes by their DSP0200 names, as pywbem knows them.
FAILED = pywbem.CIM_ERR_FAILED
ACCESS_DENIED = pywbem.CIM_ERR_ACCESS_DENIED
INVALID_NAMESPACE = pywbem.CIM_ERR_INVALID_NAMESPACE
INVALID_PARAMETER = pywbem.CIM_ERR_INVALID_PARAMETER
INVALID_CLASS = pywbem.CIM_ERR_INVALID_CLASS
NOT_FOUND = pywbem.CIM_ERR_NOT_FOUND
NOT_SUPPORTED = pywbem.CIM_ERR_NOT_SUPPORTED
ALREADY_EXISTS = pywbem.CIM_ERR_ALREADY_EXISTS
METHOD_NOT_AVAILABLE = pywbem.CIM_ERR_METHOD_NOT_AVAILABLE
METHOD_NOT_FOUND = pywbem.CIM_ERR_METHOD_NOT_FOUND


class _Parser(argparse.ArgumentParser):
    """Options that every script takes; the password comes from the environment."""

    def parse(self):
        """Parse the command line and make the environment fit for a test."""
        chosen = self.parse_args()
        chosen.password = os.environ.get(chosen.password_variable)
        if chosen.password is None:
            self.error(
                f"the password is expected in the environment as {chosen.password_variable}")
        chosen.url = chosen.urls[0]
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            # These overrule what a client of the requests library is told, for good and for bad.
            os.environ.pop(variable, None)
        return chosen


def parser(description):
    """The common options, for a script that has further ones."""
    common = _Parser(description=description.strip().splitlines()[0])
    common.add_argument(
        "urls", metavar="URL", nargs="+", help="server, such as http://127.0.0.1:5988")
    common.add_argument("--user", default="admin", help="user name (default: admin)")
    common.add_argument(
        "--password-variable", default="STANDPIPE_PASSWORD", metavar="NAME",
        help="environment variable that holds the password (default: STANDPIPE_PASSWORD)",
    )
    common.add_argument("--ca", help="file of the certificate authority; default: no verification")
    common.add_argument("-v", "--verbose", action="store_true", help="print every check")
    return common


def options(description):
    """Parse the options that every script takes."""
    return parser(description).parse()


def connect(chosen, url=None, namespace="interop", user=None, password=None, verify=None):
    """A validating connection to the server under test.

    Certificates are verified when a certificate authority was given, or when asked for.
    """
    warnings.simplefilter("ignore", pywbem.ToleratedServerIssueWarning)
    if chosen.ca is None:
        # The demo's certificate is made at start; its verification is tested elsewhere.
        import urllib3

        urllib3.disable_warnings()
    return ValidatingConnection(
        url or chosen.url,
        (user or chosen.user, chosen.password if password is None else password),
        default_namespace=namespace,
        ca_certs=chosen.ca,
        no_verification=chosen.ca is None if verify is None else not verify,
        timeout=30,
    )


class Checks:
    """Counts what held and what did not; a failed check is printed, the script goes on."""

    def __init__(self, name, verbose=False):
        self.name = name
        self.verbose = verbose
        self.passed = 0
        self.failed = 0

    def section(self, title):
        """Say what comes next."""
        print(f"{self.name}: {title}", flush=True)

    def that(self, condition, text, detail=""):
        """One check; returns whether it held."""
        if condition:
            self.passed += 1
            if self.verbose:
                print(f"  ok      {text}")
        else:
            self.failed += 1
            print(f"  FAILED  {text}{f': {detail}' if detail else ''}", flush=True)
        return bool(condition)

    def equal(self, actual, expected, text):
        """One check that two values are the same."""
        return self.that(actual == expected, text, f"got {actual!r}, expected {expected!r}")

    def refuses(self, codes, text, call, *arguments, **keywords):
        """One check that a call ends in a CIM error with one of these codes and a sentence."""
        codes = codes if isinstance(codes, (tuple, set, list)) else (codes,)
        try:
            result = call(*arguments, **keywords)
        except pywbem.CIMError as error:
            sentence = (error.status_description or "").strip()
            return self.that(
                error.status_code in codes and len(sentence) > 10,
                text,
                f"got code {error.status_code} ({sentence!r}), expected {sorted(codes)}",
            )
        except pywbem.Error as error:
            return self.that(False, text, f"got {type(error).__name__}: {error}")
        return self.that(False, text, f"it was accepted: {str(result)[:200]}")

    def until(self, text, look, condition=bool, within=120.0):
        """One check that what is looked at comes to be such; returns the last of it."""
        end = time.monotonic() + within
        while not condition(seen := look()) and time.monotonic() < end:
            time.sleep(0.1)
        self.that(condition(seen), text, str(seen))
        return seen

    def step(self, function, *arguments):
        """Run one part of a script; an exception that it did not expect is one failure."""
        try:
            return function(*arguments)
        except Exception as error:  # noqa: BLE001  any surprise is a finding, not an end
            self.failed += 1
            print(f"  FAILED  {function.__name__} ended in {type(error).__name__}: {error}")
            traceback.print_exc(limit=-4, file=sys.stdout)
            return None

    def valid_replies(self, *connections):
        """One check per connection that every reply it saw was valid CIM-XML."""
        for connection in connections:
            shown = "\n          ".join(dict.fromkeys(connection.invalid[:20]))
            self.that(
                not connection.invalid and connection.validated > 0,
                f"all {connection.validated} replies of {connection.url} are valid (DSP0203 2.4.0)",
                shown or "no reply was seen",
            )

    def finish(self):
        """Print the line that counts and return the exit status."""
        print(f"{self.name}: {self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def same(left, right):
    """Whether two object paths name the same object, whatever host they carry."""
    left, right = left.copy(), right.copy()
    left.host = right.host = None
    return left == right


def contains(paths, path):
    """Whether a list of paths or of instances names this object."""
    return any(same(getattr(item, "path", None) or item, path) for item in paths)


_associations = {}


def association_classes(connection, namespace):
    """The association classes of a namespace that derive from no other association; asked once."""
    key = (connection.url, namespace)
    if key not in _associations:
        _associations[key] = _ask_association_classes(connection, namespace)
    return _associations[key]


def _ask_association_classes(connection, namespace):
    classes = connection.EnumerateClasses(
        namespace=namespace, DeepInheritance=True, LocalOnly=False, IncludeQualifiers=True
    )
    associations = {c.classname.lower(): c for c in classes if "Association" in c.qualifiers}
    return sorted(
        c.classname for c in associations.values()
        if (c.superclass or "").lower() not in associations
    )


# Instances that come and go with every command, and what counts time or traffic.
_PASSING = ("cim_job", "cim_concretejob", "standpipe_concretejob", "cim_methodresult",
            "standpipe_methodresult")
_PASSING_PROPERTIES = ("elapsedtime", "timeoflaststatechange", "lastchanged", "statistictime",
                       "currenttime")


def _passing(path):
    if path.classname.lower() in _PASSING:
        return True
    return any(
        isinstance(value, pywbem.CIMInstanceName) and _passing(value)
        for value in path.keybindings.values()
    )


def everything(connection, namespaces):
    """All instances of all classes, as one comparable value; jobs and clocks are left out."""
    found = {}
    for namespace in namespaces:
        roots = ["CIM_ManagedElement", *association_classes(connection, namespace)]
        for root in roots:
            try:
                instances = connection.EnumerateInstances(root, namespace=namespace)
            except pywbem.CIMError as error:
                if error.status_code == INVALID_CLASS:
                    continue
                raise
            for instance in instances:
                path = instance.path.copy()
                path.host = None
                if _passing(path):
                    continue
                found[path.to_wbem_uri(format="canonical")] = tuple(
                    (name.lower(), str(value.value))
                    for name, value in sorted(instance.properties.items())
                    if name.lower() not in _PASSING_PROPERTIES
                )
    return found


def differences(before, after):
    """What changed between two results of `everything`, as short sentences."""
    said = [f"gone: {uri}" for uri in sorted(before.keys() - after.keys())]
    said += [f"new: {uri}" for uri in sorted(after.keys() - before.keys())]
    for uri in sorted(before.keys() & after.keys()):
        if before[uri] != after[uri]:
            changed = sorted(set(after[uri]) ^ set(before[uri]))
            said.append(f"changed: {uri}: {changed[:4]}")
    return said


def finished_job(connection, job, deadline=300.0):
    """Wait until a job has ended and return its last instance."""
    end, pause = time.monotonic() + deadline, SHORTEST_PAUSE
    while True:
        instance = connection.GetInstance(job)
        if instance["JobState"] not in (2, 3, 4):
            return instance
        if time.monotonic() > end:
            raise TimeoutError(f"job {job} is still in state {instance['JobState']}")
        # What takes long is asked for seldom: many who wait must not slow down what they wait for.
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_PAUSE)


def invoke(connection, method, path, **parameters):
    """Call a method and see a job, if it answered with one, to its end.

    Returns the return code (0 for a job that ended well) and the output parameters.
    """
    code, outputs = connection.InvokeMethod(method, path, **parameters)
    if code == JOB_STARTED and outputs.get("Job") is not None:
        job = finished_job(connection, outputs["Job"])
        if job["JobState"] == 7 and set(job["OperationalStatus"]) == {2, 17}:
            return DONE, outputs
        return job["ErrorCode"] or 4, outputs
    return code, outputs
