//! The relations of settings: to the volumes that have them, and to the capabilities that they come
//! from.

use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::element::{Element, Scope, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, settings};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_ElementSettingData as Data, CIM_StorageSettingsAssociatedToCapabilities as Associated,
        CIM_StorageSettingsGeneratedFromCapabilities as Generated,
    };
    catalog
        .relation(Relation {
            class: Data,
            namespace: ARRAY,
            ends: [
                End {
                    role: Data::ManagedElement,
                    kinds: &[Tag::Volume],
                    step: |_, volume| match volume {
                        Element::Volume(id) => vec![Element::Setting(id.clone())],
                        _ => Vec::new(),
                    },
                },
                End {
                    role: Data::SettingData,
                    kinds: &[Tag::Setting],
                    step: |_, setting| match setting {
                        Element::Setting(id) => vec![Element::Volume(id.clone())],
                        _ => Vec::new(),
                    },
                },
            ],
            fill: |_, _, _, out| out.set(Data::IsDefault, 1u16).set(Data::IsCurrent, 1u16),
        })
        .relation(Relation {
            class: Generated,
            namespace: ARRAY,
            ends: [
                End {
                    role: Generated::Antecedent,
                    kinds: &[Tag::StorageCapabilities],
                    step: settings::generated,
                },
                End {
                    role: Generated::Dependent,
                    kinds: &[Tag::ClientSetting],
                    step: settings::generated_from,
                },
            ],
            fill: |_, _, _, out| out.set(Generated::DefaultSetting, false),
        })
        .relation(Relation {
            class: Associated,
            namespace: ARRAY,
            ends: [
                End {
                    role: Associated::Antecedent,
                    kinds: &[Tag::StorageCapabilities],
                    step: |_, capabilities| match capabilities {
                        Element::StorageCapabilities(Scope::Pool(id)) => {
                            vec![Element::PoolSetting(id.clone())]
                        }
                        _ => Vec::new(),
                    },
                },
                End {
                    role: Associated::Dependent,
                    kinds: &[Tag::PoolSetting],
                    step: |_, setting| match setting {
                        Element::PoolSetting(id) => {
                            vec![Element::StorageCapabilities(Scope::Pool(id.clone()))]
                        }
                        _ => Vec::new(),
                    },
                },
            ],
            fill: |_, _, _, out| out.set(Associated::DefaultSetting, true),
        })
}
