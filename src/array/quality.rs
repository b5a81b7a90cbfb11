//! Qualities of service: what can be asked of a volume, and which layout fulfils it.

use serde::{Deserialize, Serialize};

use super::error::{Error, Kind};
use super::ids::{PoolId, SettingId};
use super::layout::Layout;

/// The widest stripe that is made: every leg is a word on a command line.
pub const MAX_STRIPES: u16 = 32;
/// The most copies that are kept.
const MAX_COPIES: u16 = 3;
/// The disks of the smallest RAID 5 and the smallest RAID 6 that LVM makes (lvmraid(7)).
const LEAST_PARITY: [u16; 2] = [3, 5];

/// What is asked of a new volume. What is not said is as good as nothing special: one copy, on as
/// few disks as will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// How many disks may fail without loss of data, at least.
    pub survives: Option<u16>,
    /// Complete copies of the data, exactly.
    pub copies: Option<u16>,
    /// Over how many disks it goes in turn, as [`Layout::stripe_length`] counts them.
    pub stripe_length: Option<u16>,
    /// Whether any one disk may fail.
    pub no_single_point_of_failure: bool,
}

impl Quality {
    /// The layout that fulfils it.
    ///
    /// # Errors
    /// [`Kind::NotSupported`] where there is none.
    pub fn layout(&self) -> Result<Layout, Error> {
        let stripes = self.stripe_length.unwrap_or(1).max(1);
        let survives = self.survives.unwrap_or(0);
        let copies = match self.copies.unwrap_or(1).max(1) {
            // Nothing but "no single point of failure" is said: a copy is the plainest way.
            1 if survives == 0 && self.no_single_point_of_failure => 2,
            copies => copies,
        };
        if stripes > MAX_STRIPES {
            return Err(Error::not_supported(format!(
                "stripes go over at most {MAX_STRIPES} disks; ask for a smaller ExtentStripeLength"
            )));
        }
        match copies {
            1 => parity(survives, stripes),
            _ => mirror(copies, survives, stripes),
        }
    }
}

fn parity(survives: u16, stripes: u16) -> Result<Layout, Error> {
    let Some(least) = usize::from(survives).checked_sub(1) else {
        return Ok(match stripes {
            1 => Layout::Linear,
            stripes => Layout::Striped { stripes },
        });
    };
    let Some(&least) = LEAST_PARITY.get(least) else {
        return Err(Error::not_supported(format!(
            "no layout survives {survives} failed disks with one copy of the data; ask for a \
             PackageRedundancy of at most 2"
        )));
    };
    let disks = if stripes == 1 { least } else { stripes };
    if disks < least {
        return Err(Error::not_supported(format!(
            "parity for {survives} failed disks needs at least {least} disks, {disks} were asked \
             for; ask for an ExtentStripeLength of {least} or for a DataRedundancy of {}",
            survives + 1
        )));
    }
    Ok(Layout::Parity {
        stripes: disks - survives,
        parity: survives,
    })
}

fn mirror(copies: u16, survives: u16, stripes: u16) -> Result<Layout, Error> {
    if copies > MAX_COPIES {
        return Err(Error::not_supported(format!(
            "at most {MAX_COPIES} copies are kept; ask for a smaller DataRedundancy"
        )));
    }
    if survives >= copies {
        return Err(Error::not_supported(format!(
            "{copies} copies do not survive {survives} failed disks; ask for a PackageRedundancy \
             of at most {}",
            copies - 1
        )));
    }
    match (copies, stripes) {
        (_, 1) => Ok(Layout::Mirrored { copies }),
        (2, stripes) => Ok(Layout::MirroredStripes { stripes }),
        _ => Err(Error::not_supported(
            "stripes are mirrored twice and no more; ask for a DataRedundancy of 2, or for no \
             stripes",
        )),
    }
}

/// A value that is wished for, and what would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Bounds {
    pub min: u16,
    pub goal: u16,
    pub max: u16,
}

impl Bounds {
    /// Nothing but this value.
    pub const fn just(value: u16) -> Self {
        Self {
            min: value,
            goal: value,
            max: value,
        }
    }

    const fn holds(self, value: u16) -> bool {
        self.min <= value && value <= self.max
    }
}

/// A quality of service that a client made, to name it in requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its identity.
    pub id: SettingId,
    /// Its name.
    pub name: String,
    /// The pool whose abilities it was made from; `None`: the array's.
    pub pool: Option<PoolId>,
    /// Whether it outlives a restart.
    pub lasting: bool,
    /// How many disks may fail without loss of data.
    pub survives: Bounds,
    /// Complete copies of the data.
    pub copies: Bounds,
    /// Over how many disks it goes in turn.
    pub stripe_length: Bounds,
    /// Whether any one disk may fail.
    pub no_single_point_of_failure: bool,
    /// Whether a pool of this quality is to be a thin one.
    pub thin: bool,
    /// Room for what changes, in percent of its source, that a snapshot of a volume on disks is to
    /// get; none for what the policy says.
    #[serde(default)]
    pub room: Option<u8>,
}

impl Setting {
    /// What it asks for.
    pub fn quality(&self) -> Quality {
        Quality {
            survives: Some(self.survives.goal),
            copies: Some(self.copies.goal),
            stripe_length: Some(self.stripe_length.goal),
            no_single_point_of_failure: self.no_single_point_of_failure,
        }
    }

    /// The layout that fulfils it and lies within its bounds.
    ///
    /// # Errors
    /// [`Kind::NotSupported`] where there is none.
    pub fn layout(&self) -> Result<Layout, Error> {
        let layout = self.quality().layout()?;
        // A stripe length of 1 asks for nothing: parity then chooses its own.
        let is_free = self.stripe_length.goal <= 1;
        let fits = self.survives.holds(layout.survives())
            && self.copies.holds(layout.copies())
            && (is_free || self.stripe_length.holds(layout.stripe_length()));
        match fits {
            true => Ok(layout),
            false => Err(Error::not_supported(format!(
                "the goals of setting '{}' ask for {}, which lies outside its minimums and \
                 maximums; change them",
                self.name,
                layout.name()
            ))),
        }
    }

    /// How far a layout is from what it asks for, the worst first.
    fn distance(&self, layout: Layout) -> impl Ord + use<> {
        let (survives, copies) = (layout.survives(), layout.copies());
        let length = layout.stripe_length();
        let outside = [
            !self.survives.holds(survives),
            !self.copies.holds(copies),
            self.stripe_length.goal > 1 && !self.stripe_length.holds(length),
        ];
        (
            self.no_single_point_of_failure && survives == 0,
            self.survives.goal.saturating_sub(survives),
            outside.into_iter().filter(|outside| *outside).count(),
            survives.abs_diff(self.survives.goal),
            copies.abs_diff(self.copies.goal),
            length.abs_diff(self.stripe_length.goal),
        )
    }

    /// Checks that its goals lie within its bounds and can be fulfilled.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`], or as [`Setting::layout`].
    pub fn check(&self) -> Result<(), Error> {
        for (what, bounds) in [
            ("PackageRedundancy", self.survives),
            ("DataRedundancy", self.copies),
            ("ExtentStripeLength", self.stripe_length),
        ] {
            if !bounds.holds(bounds.goal) {
                return Err(Error::invalid(format!(
                    "{what}Goal {} does not lie between {} and {}; change them together",
                    bounds.goal, bounds.min, bounds.max
                )));
            }
        }
        match self.room {
            Some(room) if !(1..=100).contains(&room) => Err(Error::invalid(format!(
                "DeltaReservationGoal {room} does not lie between 1 and 100"
            ))),
            _ => self.layout().map(drop),
        }
    }
}

/// What qualities of service can be had: the greatest values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// What a volume has of which nothing is said.
    pub default: Layout,
    /// How many disks may fail without loss of data.
    pub survives: Bounds,
    /// Complete copies of the data.
    pub copies: Bounds,
    /// Over how many disks it goes in turn.
    pub stripe_length: Bounds,
    /// On how many disks it lies.
    pub legs: u16,
}

impl Abilities {
    /// Of so many disks.
    pub fn of_disks(disks: usize) -> Self {
        let disks = u16::try_from(disks).unwrap_or(u16::MAX).max(1);
        let up_to = |min: u16, max: u16| Bounds {
            min,
            goal: min,
            max,
        };
        Self {
            default: Layout::Linear,
            survives: up_to(0, (disks - 1).min(2)),
            copies: up_to(1, disks.min(MAX_COPIES)),
            stripe_length: up_to(1, disks.min(MAX_STRIPES)),
            legs: disks,
        }
    }

    /// Of a pool that gives every volume the same.
    pub fn just(layout: Layout) -> Self {
        Self {
            default: layout,
            survives: Bounds::just(layout.survives()),
            copies: Bounds::just(layout.copies()),
            stripe_length: Bounds::just(layout.stripe_length()),
            legs: layout.legs(),
        }
    }

    /// Whether a layout is among what can be had.
    fn have(&self, layout: Layout) -> bool {
        self.survives.holds(layout.survives())
            && self.copies.holds(layout.copies())
            && self.stripe_length.holds(layout.stripe_length())
            && layout.legs() <= self.legs
    }

    /// Every layout that can be had.
    fn layouts(&self) -> impl Iterator<Item = Layout> {
        let all = |bounds: Bounds| bounds.min..=bounds.max;
        let wishes = all(self.survives).flat_map(move |survives| {
            let copies = all(self.copies);
            copies.flat_map(move |copies| {
                all(self.stripe_length).map(move |length| Quality {
                    survives: Some(survives),
                    copies: Some(copies),
                    stripe_length: Some(length),
                    no_single_point_of_failure: false,
                })
            })
        });
        let made = wishes.filter_map(|wish| wish.layout().ok());
        made.chain([self.default])
            .filter(|layout| self.have(*layout))
    }

    /// The setting nearest to a wish that can be had, and whether it is the wish itself. Data is
    /// rather kept safer than was asked for, and what the wish would do with rather than not.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] where its goals contradict its bounds.
    pub fn nearest(&self, wish: &Setting) -> Result<(Setting, bool), Error> {
        let mut near = wish.clone();
        let is_it = match wish.check() {
            Err(error) if error.kind == Kind::InvalidArgument => return Err(error),
            Err(_) => false,
            Ok(()) => wish.layout().is_ok_and(|layout| self.have(layout)),
        };
        if !is_it {
            let nearest = self.layouts().min_by_key(|layout| wish.distance(*layout));
            let layout = nearest.unwrap_or(self.default);
            near.survives.goal = layout.survives();
            near.copies.goal = layout.copies();
            near.stripe_length.goal = layout.stripe_length();
            near.no_single_point_of_failure &= layout.survives() > 0;
        }
        for (bounds, able) in [
            (&mut near.survives, self.survives),
            (&mut near.copies, self.copies),
            (&mut near.stripe_length, self.stripe_length),
        ] {
            bounds.min = bounds.min.max(able.min).min(bounds.goal);
            bounds.max = bounds.max.min(able.max).max(bounds.goal);
        }
        Ok((near, is_it))
    }

    /// Whether any one disk can fail at best.
    pub const fn no_single_point_of_failure(&self) -> bool {
        self.survives.max > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(survives: u16, copies: u16, stripe_length: u16) -> Quality {
        Quality {
            survives: Some(survives),
            copies: Some(copies),
            stripe_length: Some(stripe_length),
            no_single_point_of_failure: false,
        }
    }

    #[test]
    fn a_goal_becomes_the_layout_of_the_common_raid_level() {
        for ((survives, copies, stripes), layout) in [
            ((0, 1, 1), Layout::Linear),
            ((0, 1, 4), Layout::Striped { stripes: 4 }),
            ((1, 2, 1), Layout::Mirrored { copies: 2 }),
            ((0, 2, 1), Layout::Mirrored { copies: 2 }),
            ((2, 3, 1), Layout::Mirrored { copies: 3 }),
            ((1, 2, 2), Layout::MirroredStripes { stripes: 2 }),
            (
                (1, 1, 1),
                Layout::Parity {
                    stripes: 2,
                    parity: 1,
                },
            ),
            (
                (1, 1, 5),
                Layout::Parity {
                    stripes: 4,
                    parity: 1,
                },
            ),
            (
                (2, 1, 1),
                Layout::Parity {
                    stripes: 3,
                    parity: 2,
                },
            ),
            (
                (2, 1, 6),
                Layout::Parity {
                    stripes: 4,
                    parity: 2,
                },
            ),
        ] {
            let wish = wish(survives, copies, stripes);
            let found = wish.layout().expect("there is such a layout");
            assert_eq!(found, layout, "{wish:?}");
            assert!(found.survives() >= survives && found.copies() == copies);
        }
    }

    #[test]
    fn only_no_single_point_of_failure_is_a_mirror() {
        let wish = Quality {
            no_single_point_of_failure: true,
            ..Quality::default()
        };
        assert_eq!(wish.layout().ok(), Some(Layout::Mirrored { copies: 2 }));
        assert_eq!(Quality::default().layout().ok(), Some(Layout::Linear));
    }

    #[test]
    fn what_no_layout_gives_is_refused() {
        for (survives, copies, stripes) in [
            (3, 1, 1),
            (1, 1, 2),
            (2, 1, 4),
            (2, 2, 1),
            (1, 4, 1),
            (1, 3, 2),
            (0, 1, 33),
        ] {
            let error = wish(survives, copies, stripes)
                .layout()
                .expect_err("refused");
            assert_eq!(error.kind, Kind::NotSupported, "{error}");
        }
    }

    #[test]
    fn a_setting_keeps_its_goals_within_its_bounds() {
        let all = Abilities::of_disks(6);
        let mut setting = Setting {
            id: SettingId::new(),
            name: "goal".into(),
            pool: None,
            lasting: false,
            survives: all.survives,
            copies: all.copies,
            stripe_length: all.stripe_length,
            no_single_point_of_failure: false,
            thin: false,
            room: None,
        };
        for (room, valid) in [(0, false), (1, true), (100, true), (101, false)] {
            setting.room = Some(room);
            assert_eq!(setting.check().is_ok(), valid, "{room} %");
        }
        setting.room = None;
        setting.check().expect("the defaults are possible");
        setting.survives.goal = 1;
        setting.check().expect("RAID 5");
        setting.survives.goal = 3;
        assert_eq!(
            setting.check().map_err(|e| e.kind),
            Err(Kind::InvalidArgument)
        );
        setting.survives = Bounds::just(0);
        setting.copies.goal = 2;
        assert_eq!(setting.check().map_err(|e| e.kind), Err(Kind::NotSupported));
    }

    #[test]
    fn the_nearest_setting_is_the_wish_or_what_can_be_had() {
        let wish = |survives, copies, length, safe| {
            let any = |goal| Bounds {
                min: 0,
                goal,
                max: u16::MAX,
            };
            Setting {
                id: SettingId::new(),
                name: "wish".into(),
                pool: None,
                lasting: false,
                survives: any(survives),
                copies: any(copies),
                stripe_length: any(length),
                no_single_point_of_failure: safe,
                thin: false,
                room: None,
            }
        };
        let (six, two) = (Abilities::of_disks(6), Abilities::of_disks(2));
        let thin = Abilities::just(Layout::Linear);
        for (able, asked, near, is_it) in [
            (six, (0, 1, 1, false), (0, 1, 1), true),
            (six, (1, 2, 2, true), (1, 2, 2), true),
            (six, (2, 1, 1, false), (2, 1, 1), true),
            // Too many failures, too many copies, too many disks.
            (six, (5, 1, 1, true), (2, 1, 5), false),
            (six, (3, 4, 1, true), (2, 3, 1), false),
            (six, (1, 1, 9, true), (1, 1, 6), false),
            // Two disks have no parity; a mirror is as safe.
            (two, (1, 1, 1, true), (1, 2, 1), false),
            (thin, (1, 2, 1, true), (0, 1, 1), false),
        ] {
            let (survives, copies, length, safe) = asked;
            let (found, exact) = able
                .nearest(&wish(survives, copies, length, safe))
                .expect("one");
            let goals = (
                found.survives.goal,
                found.copies.goal,
                found.stripe_length.goal,
            );
            assert_eq!((goals, exact), (near, is_it), "{asked:?}");
            found.check().expect("it can be fulfilled");
            assert!(found.survives.max <= able.survives.max);
        }
        let mut odd = wish(1, 2, 1, false);
        odd.copies.max = 1;
        assert_eq!(
            six.nearest(&odd).map_err(|e| e.kind),
            Err(Kind::InvalidArgument)
        );
    }
}
