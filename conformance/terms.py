"""Numbers of SMI-S that the parts of a script share."""

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
# ElementType of the methods that make volumes, and of those that tell the sizes that a pool has room for.
VOLUME, THIN_VOLUME, FULL_VOLUME = 2, 5, 7
SIZE_OF_POOL, SIZE_OF_VOLUME, SIZE_OF_THIN = 2, 3, 5
