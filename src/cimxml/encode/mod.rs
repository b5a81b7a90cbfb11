//! Types to CIM-XML: the common [`Encoder`], and on it responses and requests.
//!
//! What is written is what the strictest client reads: every element with an end tag of its own
//! where one may have content, no comments, no attribute beyond DTD 2.4, decimal numbers only.

mod objects;
mod out;
mod paths;
pub(super) mod request;
pub(super) mod response;
mod values;

use crate::cim::Text;
use out::XmlOut;

/// The XML declaration and the element that every message starts with, up to the versions.
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";

/// Writes CIM elements behind one another into one buffer.
#[derive(Default)]
pub(super) struct Encoder {
    xml: XmlOut,
    /// The HOST of every path that names a namespace but no host; without it such a path is
    /// written in its local form.
    host: Option<Text>,
}

impl Encoder {
    fn new(host: Option<Text>) -> Self {
        Self {
            xml: XmlOut::default(),
            host,
        }
    }

    /// Writes, as the text of the open element, the XML that `write` produces.
    fn escaped(&mut self, write: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.xml);
        write(self);
        let inner = std::mem::replace(&mut self.xml, outer);
        self.xml.text(inner.as_str());
    }
}
