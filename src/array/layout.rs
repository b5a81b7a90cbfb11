//! How data lies on disks, and the arithmetic of it: what a layout survives, and what it costs.
//!
//! Every leg of a layout lies wholly on one disk, and each on another one, so that what a layout
//! promises to survive is what it survives. Sizes here are in extents of the pool. This module
//! knows no inventory; which disks are chosen is the planner's business.

use serde::{Deserialize, Serialize};

/// How data lies on disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Layout {
    /// One extent after the other, wherever there is room.
    #[default]
    Linear,
    /// In turn over so many disks (RAID 0).
    Striped {
        /// How many; at least 2.
        stripes: u16,
    },
    /// So many complete copies (RAID 1).
    Mirrored {
        /// How many; at least 2.
        copies: u16,
    },
    /// In turn over so many pairs of disks with a copy on each (RAID 10).
    MirroredStripes {
        /// How many pairs; at least 2.
        stripes: u16,
    },
    /// In turn over so many disks, and parity on more (RAID 5 and 6).
    Parity {
        /// Disks' worth of data.
        stripes: u16,
        /// Disks' worth of parity: 1 or 2.
        parity: u16,
    },
}

impl Layout {
    /// On how many disks it lies, each a leg of its own; a linear one has one leg on any number.
    pub const fn legs(self) -> u16 {
        match self {
            Self::Linear => 1,
            Self::Striped { stripes } => stripes,
            Self::Mirrored { copies } => copies,
            Self::MirroredStripes { stripes } => 2 * stripes,
            Self::Parity { stripes, parity } => stripes + parity,
        }
    }

    /// How many legs hold different data: a size is a multiple of so many extents.
    pub const fn data_legs(self) -> u64 {
        match self {
            Self::Linear | Self::Mirrored { .. } => 1,
            Self::Striped { stripes }
            | Self::MirroredStripes { stripes }
            | Self::Parity { stripes, .. } => stripes as u64,
        }
    }

    /// Extents that each leg needs beside the data: what is in step is noted there.
    pub const fn metadata_per_leg(self) -> u64 {
        match self {
            Self::Linear | Self::Striped { .. } => 0,
            Self::Mirrored { .. } | Self::MirroredStripes { .. } | Self::Parity { .. } => 1,
        }
    }

    /// Extents that a volume of `extents` takes from its pool.
    pub const fn consumed(self, extents: u64) -> u64 {
        match self {
            Self::Linear => extents,
            _ => {
                let leg = extents.div_ceil(self.data_legs()) + self.metadata_per_leg();
                leg * self.legs() as u64
            }
        }
    }

    /// Complete copies of the data (`DataRedundancy`); 1 is no more than the data.
    pub const fn copies(self) -> u16 {
        match self {
            Self::Mirrored { copies } => copies,
            Self::MirroredStripes { .. } => 2,
            Self::Linear | Self::Striped { .. } | Self::Parity { .. } => 1,
        }
    }

    /// How many disks can fail without loss of data (`PackageRedundancy`).
    pub const fn survives(self) -> u16 {
        match self {
            Self::Linear | Self::Striped { .. } => 0,
            Self::Mirrored { copies } => copies - 1,
            Self::MirroredStripes { .. } => 1,
            Self::Parity { parity, .. } => parity,
        }
    }

    /// Over how many disks it goes in turn (`ExtentStripeLength`), parity included and copies not:
    /// the count of SNIA's table of common RAID levels.
    pub const fn stripe_length(self) -> u16 {
        match self {
            Self::Linear | Self::Mirrored { .. } => 1,
            Self::Striped { stripes } | Self::MirroredStripes { stripes } => stripes,
            Self::Parity { stripes, parity } => stripes + parity,
        }
    }

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Striped { .. } => "RAID 0",
            Self::Mirrored { .. } => "RAID 1",
            Self::MirroredStripes { .. } => "RAID 10",
            Self::Parity { parity: 1, .. } => "RAID 5",
            Self::Parity { .. } => "RAID 6",
        }
    }
}
