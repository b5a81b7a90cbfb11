//! The typed handles that the build script wrote.

use super::typed::{In, InOut, Key, Out, Param, Prop, TypedClass, TypedMethod};
use crate::cim::{DateTime, Instance, ObjectPath, Text};

include!(concat!(env!("OUT_DIR"), "/schema_handles.rs"));
