#!/usr/bin/env python3
"""An initiator that makes persistent reservations (SPC-4 §5.13) through libiscsi.

    persist.py INITIATOR TARGET LUN reserve KEY     registers so that it lasts, and reserves type 8
    persist.py INITIATOR TARGET LUN keys            the registered keys, one a line
    persist.py INITIATOR TARGET LUN holder          key and type of the reservation
    persist.py INITIATOR TARGET LUN write           `written`, or `refused` for a reservation conflict
"""

import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_uint8, c_uint16, c_uint64, c_void_p

lib = ctypes.CDLL("libiscsi.so.7")
#: What a unit answers with: good, a sense code, a conflict with a reservation (SAM-5 table 34).
GOOD, CHECK, CONFLICT = 0, 2, 0x18
EXCLUSIVE_ALL_REGISTRANTS = 8


class Basic(ctypes.Structure):
    """`struct scsi_persistent_reserve_out_basic`."""

    _fields_ = [("reservation_key", c_uint64), ("service_action_key", c_uint64),
                ("spec_i_pt", c_uint8), ("all_tg_pt", c_uint8), ("aptpl", c_uint8)]


class Keys(ctypes.Structure):
    """The beginning of `struct scsi_persistent_reserve_in_read_keys`."""

    _fields_ = [("generation", ctypes.c_uint32), ("length", ctypes.c_uint32), ("count", c_int)]


class Reservation(ctypes.Structure):
    """`struct scsi_persistent_reserve_in_read_reservation`."""

    _fields_ = [("generation", ctypes.c_uint32), ("length", ctypes.c_uint32), ("reserved", c_int),
                ("key", c_uint64), ("scope", c_uint8), ("type", c_uint8)]


for name in ["iscsi_create_context", "iscsi_persistent_reserve_out_sync", "scsi_datain_unmarshall",
             "iscsi_persistent_reserve_in_sync", "iscsi_write10_sync", "iscsi_testunitready_sync"]:
    getattr(lib, name).restype = c_void_p
lib.iscsi_get_error.restype = c_char_p


def pointer(value):
    return c_void_p(value)


def answer(ask):
    """The task of a command; unit attentions that earlier changes left are passed over."""
    for _ in range(5):
        task = ask()
        if not task:
            sys.exit(f"no answer: {lib.iscsi_get_error(session).decode()}")
        status = ctypes.cast(pointer(task), POINTER(c_int))[0]
        if status != CHECK:
            return task, status
    sys.exit(f"sense: {lib.iscsi_get_error(session).decode()}")


def out(action, key, new_key=0, aptpl=0, type=EXCLUSIVE_ALL_REGISTRANTS):
    basic = Basic(key, new_key, 0, 0, aptpl)
    status = answer(lambda: lib.iscsi_persistent_reserve_out_sync(session, lun, action, 0, type, byref(basic)))[1]
    if status != GOOD:
        sys.exit(f"action {action} ended with status {status}")


def read(action, kind):
    task, status = answer(lambda: lib.iscsi_persistent_reserve_in_sync(session, lun, action, c_uint16(1024)))
    if status != GOOD:
        sys.exit(f"reading ended with status {status}")
    found = pointer(lib.scsi_datain_unmarshall(pointer(task)))
    return found, ctypes.cast(found, POINTER(kind))[0]


initiator, target, lun, action = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
session = pointer(lib.iscsi_create_context(initiator.encode()))
lib.iscsi_set_isid_en(session, 0x1234, 1)
lib.iscsi_set_targetname(session, target.encode())
lib.iscsi_set_session_type(session, 2)
if lib.iscsi_full_connect_sync(session, b"127.0.0.1:3260", lun) != 0:
    sys.exit(f"no login: {lib.iscsi_get_error(session).decode()}")
if action == "reserve":
    key = int(sys.argv[5])
    out(0, 0, key, aptpl=1)
    out(1, key)
elif action == "keys":
    place, keys = read(0, Keys)
    first = place.value + ctypes.sizeof(Keys)
    first += -first % 8
    for key in (c_uint64 * keys.count).from_address(first):
        print(key)
elif action == "holder":
    held = read(1, Reservation)[1]
    print(held.key if held.reserved else "nobody", held.type if held.reserved else "")
elif action == "write":
    block = ctypes.create_string_buffer(512)
    status = answer(lambda: lib.iscsi_write10_sync(
        session, lun, 0, block, 512, 512, 0, 0, 0, 0, 0))[1]
    print({GOOD: "written", CONFLICT: "refused"}.get(status, status))
lib.iscsi_logout_sync(session)
