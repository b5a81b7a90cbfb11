//! From file names to one list of declarations: `#pragma include`, `#pragma namespace`.

use super::ast::Declaration;
use super::diagnostic::{Diagnostic, Problem};
use super::parser;
use super::source::{Sources, Span};
use crate::cim::Name;

/// Gives the text of a file, or says why it cannot. Names are those of the `include` pragmas,
/// relative to the directory of the top file, with `/` between directories.
pub type Loader<'a> = dyn FnMut(&str) -> Result<String, String> + 'a;

/// Longest file, in bytes.
const MAX_FILE: usize = 8 << 20;
/// Most files of one compilation.
const MAX_FILES: usize = 2000;
/// How deep files may include each other.
const MAX_DEPTH: usize = 32;

/// A declaration and the namespace that a pragma before it set.
pub(super) type InNamespace = (Option<Name>, Declaration);

/// Reads `top` and everything that it includes, in the order in which a reader would see it.
pub(super) fn read(
    top: &str,
    loader: &mut Loader<'_>,
    sources: &mut Sources,
    problems: &mut Vec<Diagnostic>,
) -> Vec<InNamespace> {
    let mut reader = Reader {
        loader,
        sources,
        problems,
        open: Vec::new(),
        namespace: None,
        declarations: Vec::new(),
    };
    if let Err(problem) = reader.file(top) {
        let file = reader.sources.add(top, String::new());
        let span = Span {
            file,
            start: 0,
            end: 0,
        };
        reader.problems.push(Diagnostic::new(problem, span));
    }
    reader.declarations
}

struct Reader<'a, 'l> {
    loader: &'a mut Loader<'l>,
    sources: &'a mut Sources,
    problems: &'a mut Vec<Diagnostic>,
    /// The files that are being read, outermost first.
    open: Vec<String>,
    namespace: Option<Name>,
    declarations: Vec<InNamespace>,
}

impl Reader<'_, '_> {
    fn file(&mut self, name: &str) -> Result<(), Problem> {
        if self.open.iter().any(|open| open == name) {
            return Err(Problem::IncludeCycle);
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem::IncludeTooDeep);
        }
        if self.sources.names().count() >= MAX_FILES {
            return Err(Problem::TooManyFiles);
        }
        let text = (self.loader)(name).map_err(Problem::CannotInclude)?;
        if text.len() > MAX_FILE {
            return Err(Problem::FileTooLarge);
        }
        let file = self.sources.add(name, text);
        let declarations = parser::declarations(file, self.sources.file_text(file), self.problems);
        self.open.push(name.to_owned());
        for declaration in declarations {
            self.declaration(name, declaration);
        }
        self.open.pop();
        Ok(())
    }

    fn declaration(&mut self, file: &str, declaration: Declaration) {
        let Declaration::Pragma { name, value } = &declaration else {
            self.declarations
                .push((self.namespace.clone(), declaration));
            return;
        };
        if name.it.eq_ignore_ascii_case("include") {
            let included = beside(file, &value.it)
                .ok_or_else(|| Problem::CannotInclude("it lies outside".into()))
                .and_then(|path| self.file(&path));
            if let Err(problem) = included {
                self.problems.push(Diagnostic::new(problem, value.span));
            }
        } else if name.it.eq_ignore_ascii_case("namespace") {
            self.namespace = Some(value.it.trim_matches('/').into());
        }
        // Every other pragma (`locale`, `source`, unknown ones) changes nothing here.
    }
}

/// The name of `path` as written in `file`; `None` if it leads out of the top directory.
fn beside(file: &str, path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    if path.starts_with('/') {
        return None;
    }
    let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut parts: Vec<&str> = directory.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
