//! The model of these tests: a system with pools, volumes and a view, and profiles in interop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use crate::broker::{
    Catalog, End, Invocation, Kind, Model, Namespace, Relation, Snapshot, Subject, Target,
};
use crate::cim::{CimError, Instance, Keys, ObjectPath, Property, Value};
use crate::identity::Identity;
use crate::schema::class::{
    CIM_AllocatedFromStoragePool as Allocated, CIM_ElementConformsToProfile as Conforms,
    CIM_HostedStoragePool as HostedPool, CIM_ProtocolControllerForUnit as ForUnit,
    CIM_ReferencedProfile as Referenced, CIM_SystemDevice as Device,
    Standpipe_ComputerSystem as System, Standpipe_GroupMaskingMappingService as Service,
    Standpipe_MaskingView as View, Standpipe_PrimordialStoragePool as Primordial,
    Standpipe_RegisteredProfile as Profile, Standpipe_StorageCapabilities as Capabilities,
    Standpipe_StoragePool as Pool, Standpipe_StorageVolume as Volume,
};
use crate::schema::method::Standpipe_GroupMaskingMappingService::CreateGroup;
use crate::schema::method::Standpipe_StorageCapabilities::CreateGoalSettings;
use crate::schema::method::Standpipe_StoragePool::GetSupportedSizeRange;
use crate::schema::{ClassDecl, MethodDecl, Outcome, Outputs};

pub(super) const INTEROP: Namespace = Namespace {
    name: "interop",
    aliases: &["root/interop"],
};
pub(super) const ARRAY: Namespace = Namespace {
    name: "root/standpipe",
    aliases: &[],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Id {
    Profile(u32),
    System,
    Primordial,
    Pool(u32),
    Volume(u32),
    View,
    Service,
    Capabilities,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tag {
    Profile,
    System,
    Primordial,
    Pool,
    Volume,
    View,
    Service,
    Capabilities,
}

/// Volume number → name. Even volumes are in pool 0, odd ones in pool 1; the view has 0 and 1.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    pub(super) volumes: Arc<BTreeMap<u32, String>>,
    /// How many times the model was asked to step, and how many instances it filled.
    pub(super) steps: Arc<AtomicUsize>,
    pub(super) fills: Arc<AtomicUsize>,
}

impl Shelf {
    pub(crate) fn with_volumes(count: u32) -> Self {
        let volumes = (0..count).map(|n| (n, format!("volume {n}")));
        Self {
            volumes: Arc::new(volumes.collect()),
            steps: Arc::default(),
            fills: Arc::default(),
        }
    }

    fn stepped(&self, to: Vec<Id>) -> Vec<Id> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        to
    }

    fn all(&self) -> Vec<Id> {
        self.volumes.keys().map(|&n| Id::Volume(n)).collect()
    }

    fn in_pool(&self, pool: &Id) -> Vec<Id> {
        let volumes = self.volumes.keys().map(|&n| Id::Volume(n));
        volumes.filter(|v| pool_of(v) == *pool).collect()
    }

    fn in_view(&self) -> Vec<Id> {
        let volumes = self.volumes.range(..2);
        volumes.map(|(&n, _)| Id::Volume(n)).collect()
    }
}

fn number(id: &Id) -> u32 {
    match id {
        Id::Volume(n) | Id::Pool(n) | Id::Profile(n) => *n,
        _ => 0,
    }
}

fn pool_of(volume: &Id) -> Id {
    Id::Pool(number(volume) % 2)
}

fn numbered(keys: &Keys, key: &str, prefix: &str) -> Option<u32> {
    keys.text(key)?.strip_prefix(prefix)?.parse().ok()
}

static CATALOG: LazyLock<Catalog<Shelf>> =
    LazyLock::new(|| relations(elements(Catalog::new(&[INTEROP, ARRAY]))));

fn elements(catalog: Catalog<Shelf>) -> Catalog<Shelf> {
    catalog
        .kind(Kind {
            tag: Tag::Profile,
            class: Profile,
            namespace: INTEROP,
            list: |_| vec![Id::Profile(0), Id::Profile(1)],
            find: |_, keys| {
                let found = numbered(keys, "InstanceID", "profile ").filter(|n| *n < 2);
                found.map(Id::Profile)
            },
            keys: |_, id, path| path.key(Profile::InstanceID, format!("profile {}", number(id))),
            fill: |_, _, out| out.set(Profile::RegisteredName, "Array"),
        })
        .kind(Kind {
            tag: Tag::System,
            class: System,
            namespace: ARRAY,
            list: |_| vec![Id::System],
            find: |_, _| Some(Id::System),
            keys: |_, _, path| {
                path.key(System::CreationClassName, "Standpipe_ComputerSystem")
                    .key(System::Name, "s")
            },
            fill: |_, _, out| out.set(System::Dedicated, [3u16, 15]),
        })
        .kind(Kind {
            tag: Tag::Primordial,
            class: Primordial,
            namespace: ARRAY,
            list: |_| vec![Id::Primordial],
            find: |_, _| Some(Id::Primordial),
            keys: |_, _, path| path.key(Primordial::InstanceID, "primordial"),
            fill: |_, _, out| out.set(Primordial::Primordial, true),
        })
        .kind(Kind {
            tag: Tag::Pool,
            class: Pool,
            namespace: ARRAY,
            list: |_| vec![Id::Pool(0), Id::Pool(1)],
            find: |_, keys| {
                let found = numbered(keys, "InstanceID", "pool ").filter(|n| *n < 2);
                found.map(Id::Pool)
            },
            keys: |_, id, path| path.key(Pool::InstanceID, format!("pool {}", number(id))),
            fill: |_, _, out| out.set(Pool::Primordial, false),
        })
        .kind(Kind {
            tag: Tag::Volume,
            class: Volume,
            namespace: ARRAY,
            list: Shelf::all,
            find: |shelf, keys| {
                let found = numbered(keys, "DeviceID", "d")?;
                shelf
                    .volumes
                    .contains_key(&found)
                    .then_some(Id::Volume(found))
            },
            keys: |_, id, path| {
                path.key(Volume::SystemCreationClassName, "Standpipe_ComputerSystem")
                    .key(Volume::SystemName, "s")
                    .key(Volume::CreationClassName, "Standpipe_StorageVolume")
                    .key(Volume::DeviceID, format!("d{}", number(id)))
            },
            fill: |shelf, id, out| {
                shelf.fills.fetch_add(1, Ordering::Relaxed);
                out.set(Volume::ElementName, shelf.volumes.get(&number(id)).cloned())
                    .set(Volume::BlockSize, 512u64)
                    .null(Volume::Caption)
            },
        })
        .kind(Kind {
            tag: Tag::View,
            class: View,
            namespace: ARRAY,
            list: |_| vec![Id::View],
            find: |_, _| Some(Id::View),
            keys: |_, _, path| {
                path.key(View::SystemCreationClassName, "Standpipe_ComputerSystem")
                    .key(View::SystemName, "s")
                    .key(View::CreationClassName, "Standpipe_MaskingView")
                    .key(View::DeviceID, "view")
            },
            fill: |_, _, out| out,
        })
        .kind(Kind {
            tag: Tag::Service,
            class: Service,
            namespace: ARRAY,
            list: |_| vec![Id::Service],
            find: |_, _| Some(Id::Service),
            keys: |_, _, path| {
                path.key(Service::SystemCreationClassName, "Standpipe_ComputerSystem")
                    .key(Service::SystemName, "s")
                    .key(
                        Service::CreationClassName,
                        "Standpipe_GroupMaskingMappingService",
                    )
                    .key(Service::Name, "masking")
            },
            fill: |_, _, out| out,
        })
        .kind(Kind {
            tag: Tag::Capabilities,
            class: Capabilities,
            namespace: ARRAY,
            list: |_| vec![Id::Capabilities],
            find: |_, _| Some(Id::Capabilities),
            keys: |_, _, path| path.key(Capabilities::InstanceID, "capabilities"),
            fill: |_, _, out| out,
        })
}

fn relations(catalog: Catalog<Shelf>) -> Catalog<Shelf> {
    catalog
        .relation(Relation {
            class: Conforms,
            namespace: INTEROP,
            ends: [
                End {
                    role: Conforms::ConformantStandard,
                    kinds: &[Tag::Profile],
                    step: |shelf, id| {
                        shelf.stepped(match id {
                            Id::Profile(0) => vec![Id::System],
                            _ => vec![Id::Pool(0), Id::Pool(1)],
                        })
                    },
                },
                End {
                    role: Conforms::ManagedElement,
                    kinds: &[Tag::System, Tag::Pool],
                    step: |shelf, id| {
                        let profile = u32::from(*id != Id::System);
                        shelf.stepped(vec![Id::Profile(profile)])
                    },
                },
            ],
            fill: |_, _, _, out| out,
        })
        .relation(Relation {
            class: Referenced,
            namespace: INTEROP,
            ends: [
                End {
                    role: Referenced::Antecedent,
                    kinds: &[Tag::Profile],
                    step: |shelf, id| {
                        // Profile 1 also references itself.
                        shelf.stepped(match id {
                            Id::Profile(0) => vec![Id::Profile(1)],
                            _ => vec![Id::Profile(1)],
                        })
                    },
                },
                End {
                    role: Referenced::Dependent,
                    kinds: &[Tag::Profile],
                    step: |shelf, id| {
                        shelf.stepped(match id {
                            Id::Profile(1) => vec![Id::Profile(0), Id::Profile(1)],
                            _ => vec![],
                        })
                    },
                },
            ],
            fill: |_, _, _, out| out,
        })
        .relation(Relation {
            class: HostedPool,
            namespace: ARRAY,
            ends: [
                End {
                    role: HostedPool::GroupComponent,
                    kinds: &[Tag::System],
                    step: |shelf, _| shelf.stepped(vec![Id::Primordial, Id::Pool(0), Id::Pool(1)]),
                },
                End {
                    role: HostedPool::PartComponent,
                    kinds: &[Tag::Primordial, Tag::Pool],
                    step: |shelf, _| shelf.stepped(vec![Id::System]),
                },
            ],
            fill: |_, _, _, out| out,
        })
        .relation(Relation {
            class: Device,
            namespace: ARRAY,
            ends: [
                End {
                    role: Device::GroupComponent,
                    kinds: &[Tag::System],
                    step: |shelf, _| shelf.stepped(shelf.all()),
                },
                End {
                    role: Device::PartComponent,
                    kinds: &[Tag::Volume],
                    step: |shelf, _| shelf.stepped(vec![Id::System]),
                },
            ],
            fill: |_, _, _, out| out,
        })
        .relation(Relation {
            class: Allocated,
            namespace: ARRAY,
            ends: [
                End {
                    role: Allocated::Antecedent,
                    kinds: &[Tag::Pool],
                    step: |shelf, pool| shelf.stepped(shelf.in_pool(pool)),
                },
                End {
                    role: Allocated::Dependent,
                    kinds: &[Tag::Volume],
                    step: |shelf, volume| shelf.stepped(vec![pool_of(volume)]),
                },
            ],
            fill: |_, _, volume, out| {
                out.set(Allocated::SpaceConsumed, 1000 + u64::from(number(volume)))
            },
        })
        .relation(Relation {
            class: ForUnit,
            namespace: ARRAY,
            ends: [
                End {
                    role: ForUnit::Antecedent,
                    kinds: &[Tag::View],
                    step: |shelf, _| shelf.stepped(shelf.in_view()),
                },
                End {
                    role: ForUnit::Dependent,
                    kinds: &[Tag::Volume],
                    step: |shelf, volume| {
                        let seen = number(volume) < 2;
                        shelf.stepped(if seen { vec![Id::View] } else { vec![] })
                    },
                },
            ],
            fill: |_, _, volume, out| {
                out.set(ForUnit::DeviceNumber, format!("{:04X}", number(volume)))
            },
        })
}

impl Snapshot for Shelf {
    type Id = Id;
    type Tag = Tag;

    fn catalog() -> &'static Catalog<Self> {
        &CATALOG
    }

    fn tag(id: &Id) -> Tag {
        match id {
            Id::Profile(_) => Tag::Profile,
            Id::System => Tag::System,
            Id::Primordial => Tag::Primordial,
            Id::Pool(_) => Tag::Pool,
            Id::Volume(_) => Tag::Volume,
            Id::View => Tag::View,
            Id::Service => Tag::Service,
            Id::Capabilities => Tag::Capabilities,
        }
    }
}

/// A shelf that changes, and a record of what it was told.
pub(crate) struct Board {
    pub(super) shelf: Mutex<Shelf>,
    pub(super) told: Mutex<Vec<String>>,
}

impl Board {
    pub(crate) fn new(shelf: Shelf) -> Self {
        Self {
            shelf: Mutex::new(shelf),
            told: Mutex::default(),
        }
    }

    pub(super) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().expect("no test panics with it"))
    }

    fn tell(&self, what: String) {
        self.told.lock().expect("no test panics with it").push(what);
    }
}

impl Model for Board {
    type Snapshot = Shelf;

    fn snapshot(&self) -> Shelf {
        self.shelf.lock().expect("no test panics with it").clone()
    }

    fn reads_only(&self, method: &'static MethodDecl) -> bool {
        method.name.starts_with("Get")
    }

    async fn invoke(&self, _: &Identity, call: Invocation<Shelf>) -> Result<Outcome, CimError> {
        if let Some(given) = call.of(GetSupportedSizeRange) {
            let ty = given.of(GetSupportedSizeRange::ElementType);
            self.tell(format!("sizes of {:?} on {:?}", ty, call.target));
            let outputs = Outputs::new(GetSupportedSizeRange);
            return Ok(outputs
                .set(GetSupportedSizeRange::MinimumVolumeSize, 4096u64)
                .returns(0u32));
        }
        if let Some(given) = call.of(CreateGroup) {
            let name = given.need(CreateGroup::GroupName)?;
            let members = call.elements(&given, CreateGroup::Members)?;
            self.tell(format!("group {name} of {members:?}"));
            return Ok(Outputs::new(CreateGroup).returns(0u32));
        }
        if let Some(given) = call.of(CreateGoalSettings) {
            let goals = given.of(CreateGoalSettings::TemplateGoalSettings);
            let classes = goals.map(|all| all.iter().map(|g| g.class.clone()).collect::<Vec<_>>());
            self.tell(format!("goals {classes:?}"));
            return Ok(Outputs::new(CreateGoalSettings).returns(0u16));
        }
        if let Target::Class(class, _) = call.target {
            self.tell(format!("static {}", class.name));
        }
        Err(call.not_available())
    }

    async fn create(
        &self,
        _: &Identity,
        namespace: Namespace,
        class: &'static ClassDecl,
        instance: Instance,
    ) -> Result<ObjectPath, CimError> {
        self.tell(format!("create {} in {}", class.name, namespace.name));
        for property in &instance.properties {
            self.tell(format!("{} = {:?}", property.name, property.value));
        }
        Ok(self.snapshot().path(&Id::Volume(0)))
    }

    async fn modify(
        &self,
        _: &Identity,
        subject: Subject<Shelf>,
        changes: Vec<Property>,
    ) -> Result<(), CimError> {
        for change in changes {
            if let (Subject::Element(Id::Volume(n)), Some(Value::String(name))) =
                (&subject, &change.value)
            {
                let mut shelf = self.shelf.lock().expect("no test panics with it");
                Arc::make_mut(&mut shelf.volumes).insert(*n, name.to_string());
            }
            self.tell(format!("{subject:?} {} = {:?}", change.name, change.value));
        }
        Ok(())
    }

    async fn delete(&self, _: &Identity, subject: Subject<Shelf>) -> Result<(), CimError> {
        self.tell(format!("delete {subject:?}"));
        Ok(())
    }
}
