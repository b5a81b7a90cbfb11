//! configfs as the kernel wants it: one attribute is one `write(2)`, folders are objects, links
//! are relations.
//!
//! Every call takes a path below the root that the [`Configfs`] was made with, so tests use a
//! folder of their own. Making what is there and removing what is gone are no errors: a step
//! can be repeated. This module knows no LIO object.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

/// Longest attribute read, in bytes: sixteen pages.
const ATTRIBUTE_LIMIT: u64 = 64 << 10;

/// A call that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}{} failed", .text.as_ref().map(|text| format!(" ({text:?})")).unwrap_or_default())]
pub struct ConfigfsError {
    /// What was tried: `write`, `read`, `make`, `remove`, `link`, `list`.
    pub action: &'static str,
    /// The path below the root.
    pub path: String,
    /// What was written, or linked to. Secrets are left out.
    pub text: Option<String>,
    /// What the kernel said.
    pub source: io::Error,
}

impl ConfigfsError {
    /// The kind of the kernel's answer.
    pub fn kind(&self) -> ErrorKind {
        self.source.kind()
    }
}

/// A configfs subtree, `/sys/kernel/config/target` on a real machine.
#[derive(Debug, Clone)]
pub struct Configfs {
    root: PathBuf,
    /// What stands in the kernel's place in a test.
    #[cfg(test)]
    kernel: Option<std::sync::Arc<super::recorded::Kernel>>,
}

impl Configfs {
    /// The subtree below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            #[cfg(test)]
            kernel: None,
        }
    }

    /// A tree in which that kernel hears of every change and does its part.
    #[cfg(test)]
    pub(in crate::engine::linux) fn over(kernel: &std::sync::Arc<super::recorded::Kernel>) -> Self {
        Self {
            root: kernel.root().to_owned(),
            kernel: Some(std::sync::Arc::clone(kernel)),
        }
    }

    /// Makes a change.
    #[cfg(not(test))]
    fn change<T>(
        &self,
        _action: &str,
        _path: &str,
        _text: &str,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        call()
    }

    /// Makes a change, of which a kernel that stands in hears before and after.
    #[cfg(test)]
    fn change<T>(
        &self,
        action: &str,
        path: &str,
        text: &str,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(kernel) = &self.kernel else {
            return call();
        };
        kernel.permit(action, path, text)?;
        let done = call()?;
        kernel.heed(action, path, text)?;
        Ok(done)
    }

    /// The absolute path of a path below the root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Writes an attribute, exactly these bytes in one call, without creating or truncating.
    pub fn write(&self, path: &str, text: &str) -> Result<(), ConfigfsError> {
        let written = self.change("write", path, text, || {
            let mut file = OpenOptions::new().write(true).open(self.path(path))?;
            file.write(text.as_bytes())
        });
        match written {
            Ok(count) if count == text.len() => Ok(()),
            Ok(_) => Err(error(
                "write",
                path,
                Some(text),
                ErrorKind::WriteZero.into(),
            )),
            Err(source) => Err(error("write", path, Some(text), source)),
        }
    }

    /// Reads an attribute, without the white space around it.
    pub fn read(&self, path: &str) -> Result<String, ConfigfsError> {
        let mut bytes = Vec::new();
        OpenOptions::new()
            .read(true)
            .open(self.path(path))
            .and_then(|file| file.take(ATTRIBUTE_LIMIT).read_to_end(&mut bytes))
            .map_err(|source| error("read", path, None, source))?;
        Ok(String::from_utf8_lossy(&bytes)
            .trim_matches(['\0', '\n', ' '])
            .to_owned())
    }

    /// Makes a folder; `false` when it was there.
    pub fn make(&self, path: &str) -> Result<bool, ConfigfsError> {
        match self.change("make", path, "", || fs::create_dir(self.path(path))) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(error("make", path, None, source)),
        }
    }

    /// Removes a folder; `false` when it was not there.
    pub fn remove(&self, path: &str) -> Result<bool, ConfigfsError> {
        let removed = self.change("remove", path, "", || fs::remove_dir(self.path(path)));
        gone(removed, path)
    }

    /// Links `path` to the object at `to`; `false` when this link was there. Another link of the
    /// same name is an error.
    pub fn link(&self, path: &str, to: &str) -> Result<bool, ConfigfsError> {
        let link = || symlink(self.path(to), self.path(path));
        match self.change("link", path, to, link) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists && self.points_to(path, to) => Ok(false),
            Err(source) => Err(error("link", path, Some(to), source)),
        }
    }

    /// Removes a link; `false` when it was not there.
    pub fn unlink(&self, path: &str) -> Result<bool, ConfigfsError> {
        let removed = self.change("unlink", path, "", || fs::remove_file(self.path(path)));
        gone(removed, path)
    }

    /// Whether links lead to a folder that holds a link itself. Only the kernel counts them, and it
    /// tells by the way in which it refuses to remove such a folder: that something leads to it comes
    /// before that it is not empty. So one call answers for any number of places to search.
    pub fn is_led_to(&self, path: &str) -> Result<bool, ConfigfsError> {
        match self.remove(path) {
            // It was empty, or gone.
            Ok(_) => Ok(false),
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(e) if e.kind() == ErrorKind::ResourceBusy => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Whether an object is there.
    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// Names of the folders in a folder; empty when it is not there. Attributes and links are
    /// passed over, because newer kernels add files where none were.
    pub fn folders(&self, path: &str) -> Result<Vec<String>, ConfigfsError> {
        self.names(path, |kind| kind.is_dir())
    }

    /// Names of the links in a folder, and what each leads to below the root.
    pub fn links(&self, path: &str) -> Result<Vec<(String, String)>, ConfigfsError> {
        let names = self.names(path, |kind| kind.is_symlink())?;
        Ok(names
            .into_iter()
            .filter_map(|name| {
                let to = self.leads_to(&join(path, &name))?;
                Some((name, to))
            })
            .collect())
    }

    /// Where a link leads, as a path below the root; `None` for one that leads out of it. The
    /// kernel keeps links to what is gone, so the end need not be there.
    pub fn leads_to(&self, path: &str) -> Option<String> {
        let link = self.path(path);
        let mut to = link.parent()?.to_owned();
        for part in fs::read_link(&link).ok()?.components() {
            match part {
                Component::ParentDir => {
                    to.pop();
                }
                Component::CurDir => {}
                // An absolute link starts over.
                part => to.push(part),
            }
        }
        Some(to.strip_prefix(&self.root).ok()?.to_str()?.to_owned())
    }

    fn points_to(&self, path: &str, to: &str) -> bool {
        self.leads_to(path)
            .is_some_and(|found| Path::new(&found) == Path::new(to))
    }

    fn names(
        &self,
        path: &str,
        wanted: fn(&fs::FileType) -> bool,
    ) -> Result<Vec<String>, ConfigfsError> {
        let entries = match fs::read_dir(self.path(path)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(error("list", path, None, source)),
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| wanted(&kind)))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn gone(removed: io::Result<()>, path: &str) -> Result<bool, ConfigfsError> {
    match removed {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(error("remove", path, None, source)),
    }
}

fn error(action: &'static str, path: &str, text: Option<&str>, source: io::Error) -> ConfigfsError {
    // An authentication attribute is never repeated in an error.
    let text = text.filter(|_| !path.contains("/auth/")).map(str::to_owned);
    ConfigfsError {
        action,
        path: path.to_owned(),
        text,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn subtree() -> (TempDir, Configfs) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let configfs = Configfs::new(folder.path());
        (folder, configfs)
    }

    #[test]
    fn a_write_neither_creates_nor_truncates() {
        let (folder, configfs) = subtree();
        let missing = configfs
            .write("enable", "1")
            .expect_err("there is no such attribute");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(missing.to_string(), "write enable (\"1\") failed");
        fs::write(folder.path().join("enable"), "0123").expect("set up");
        configfs.write("enable", "x").expect("written");
        assert_eq!(configfs.read("enable").expect("read"), "x123");
    }

    #[test]
    fn steps_can_be_repeated() {
        let (_folder, configfs) = subtree();
        assert!(configfs.make("core").expect("made"));
        assert!(!configfs.make("core").expect("was there"));
        assert!(configfs.link("alias", "core").expect("linked"));
        assert!(!configfs.link("alias", "core").expect("was there"));
        assert!(configfs.unlink("alias").expect("unlinked"));
        assert!(!configfs.unlink("alias").expect("was gone"));
        assert!(configfs.remove("core").expect("removed"));
        assert!(!configfs.remove("core").expect("was gone"));
    }

    #[test]
    fn a_link_of_the_same_name_to_something_else_is_an_error() {
        let (_folder, configfs) = subtree();
        for folder in ["a", "b"] {
            configfs.make(folder).expect("made");
        }
        configfs.link("alias", "a").expect("linked");
        let error = configfs.link("alias", "b").expect_err("leads elsewhere");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(configfs.leads_to("alias").as_deref(), Some("a"));
    }

    #[test]
    fn lists_pass_over_what_is_no_object() {
        let (folder, configfs) = subtree();
        for name in ["lun_1", "lun_0"] {
            configfs.make(name).expect("made");
        }
        fs::write(folder.path().join("cpus_allowed_list"), "").expect("set up");
        configfs.link("alias", "lun_0").expect("linked");
        assert_eq!(configfs.folders("").expect("listed"), ["lun_0", "lun_1"]);
        let links = configfs.links("").expect("listed");
        assert_eq!(links, [("alias".to_owned(), "lun_0".to_owned())]);
        assert!(
            configfs
                .folders("absent")
                .expect("an empty list")
                .is_empty()
        );
    }

    #[test]
    fn secrets_stay_out_of_errors() {
        let (_folder, configfs) = subtree();
        let error = configfs
            .write("acls/x/auth/password", "hunter2")
            .expect_err("not there");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
