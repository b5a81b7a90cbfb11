"""The numbers of Replication Services that the parts of `replication.py` share."""

import pywbem

U16, U64 = pywbem.Uint16, pywbem.Uint64

# SyncType, and the ReplicationType that goes with it.
SNAPSHOT, CLONE = 7, 8
TYPES = {SNAPSHOT: 7, CLONE: 11}
ASYNCHRONOUS, LOCAL, REMOTE = 3, 2, 3
# Operation of Replication Services.
DETACH, RESYNC, RESTORE, RETURN = 8, 14, 15, 19
# CopyState.
UNSYNCHRONIZED, SYNCHRONIZED, BROKEN, NOT_APPLICABLE = 3, 4, 5, 15
# Return codes.
REFUSED, IN_USE, NO_SUCH_PROPERTY = 1, 6, 7
# Usage.
UNRESTRICTED, SOURCE, TARGET, BOTH, DELTA = 2, 6, 8, 10, 12
# ElementType of the method that makes volumes.
VOLUME, THIN_VOLUME = 2, 5
