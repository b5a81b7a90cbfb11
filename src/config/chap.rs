//! The `[[chap]]` tables: who has to prove who he is. No message repeats a secret.

use serde::Deserialize;
use toml::Spanned;

use super::raw::{Checked, wrong};
use crate::array::{Chap, ChapTable, ChapUser, InitiatorName, Login, Secret};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChap {
    initiator: Spanned<String>,
    user: Spanned<String>,
    secret: Spanned<String>,
    mutual_user: Option<Spanned<String>>,
    mutual_secret: Option<Spanned<String>>,
}

/// Checks all tables.
pub(super) fn table(raw: &[RawChap]) -> Checked<ChapTable> {
    let mut table = ChapTable::new();
    for entry in raw {
        let name = &entry.initiator;
        let initiator = InitiatorName::iscsi(name.get_ref())
            .map_err(|why| wrong(name, format!("chap.initiator: {why}")))?;
        let chap = entry.check()?;
        if table.insert(initiator, chap).is_some() {
            let reason = format!(
                "chap.initiator: {} is there twice; keep one of the tables",
                name.get_ref()
            );
            return Err(wrong(name, reason));
        }
    }
    // The array's secret must not be one that an initiator could know as its own.
    for entry in raw {
        let Some(mutual) = &entry.mutual_secret else {
            continue;
        };
        if raw
            .iter()
            .any(|other| other.secret.get_ref() == mutual.get_ref())
        {
            let reason =
                "chap.mutual_secret: it is the secret of an initiator, too; choose another";
            return Err(wrong(mutual, reason));
        }
    }
    Ok(table)
}

impl RawChap {
    fn check(&self) -> Checked<Chap> {
        let array = match (&self.mutual_user, &self.mutual_secret) {
            (None, None) => None,
            (Some(user), Some(secret)) => Some(Login {
                user: checked_user("chap.mutual_user", user)?,
                secret: checked_secret("chap.mutual_secret", secret)?,
            }),
            (Some(only), None) => {
                return Err(wrong(only, "chap.mutual_user needs chap.mutual_secret"));
            }
            (None, Some(only)) => {
                return Err(wrong(only, "chap.mutual_secret needs chap.mutual_user"));
            }
        };
        Ok(Chap {
            initiator: Login {
                user: checked_user("chap.user", &self.user)?,
                secret: checked_secret("chap.secret", &self.secret)?,
            },
            array,
        })
    }
}

fn checked_user(name: &str, text: &Spanned<String>) -> Checked<ChapUser> {
    ChapUser::parse(text.get_ref()).map_err(|why| wrong(text, format!("{name}: {why}")))
}

fn checked_secret(name: &str, text: &Spanned<String>) -> Checked<Secret> {
    Secret::parse(text.get_ref()).map_err(|why| wrong(text, format!("{name}: {why}")))
}
