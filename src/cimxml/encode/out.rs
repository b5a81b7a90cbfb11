//! An append-only XML buffer: it escapes, and in debug builds it checks that tags balance.

/// XML under construction. An element is `open`, attributes, then `empty` or `content` … `close`.
#[derive(Default)]
pub(super) struct XmlOut {
    buffer: String,
    #[cfg(debug_assertions)]
    open: Vec<&'static str>,
    #[cfg(debug_assertions)]
    in_tag: bool,
}

/// What has to be done about a byte: 0 nothing, 1 in text and attributes, 2 in attributes only,
/// 3 perhaps (the lead byte of U+FFFE and U+FFFF).
static SPECIAL: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = 1;
        byte += 1;
    }
    table[b'\t' as usize] = 2;
    table[b'\n' as usize] = 2;
    table[b'"' as usize] = 2;
    table[b'&' as usize] = 1;
    table[b'<' as usize] = 1;
    table[b'>' as usize] = 1;
    table[0xef] = 3;
    table
};

impl XmlOut {
    /// `<tag`; attributes may follow.
    #[inline]
    pub(super) fn open(&mut self, tag: &'static str) {
        #[cfg(debug_assertions)]
        {
            debug_assert!(!self.in_tag, "<{tag} inside a start tag");
            self.in_tag = true;
            self.open.push(tag);
        }
        self.buffer.push('<');
        self.buffer.push_str(tag);
    }

    /// ` name="value"`, escaped.
    #[inline]
    pub(super) fn attr(&mut self, name: &'static str, value: &str) {
        self.raw_attr_start(name);
        self.escape::<true>(value);
        self.buffer.push('"');
    }

    /// ` name="value"` with a value that needs no escaping.
    #[inline]
    pub(super) fn const_attr(&mut self, name: &'static str, value: &'static str) {
        self.raw_attr_start(name);
        self.buffer.push_str(value);
        self.buffer.push('"');
    }

    /// ` name="number"`.
    pub(super) fn number_attr(&mut self, name: &'static str, value: u32) {
        self.raw_attr_start(name);
        self.digits(false, value.into());
        self.buffer.push('"');
    }

    /// ` name="true"`, or `false`.
    pub(super) fn bool_attr(&mut self, name: &'static str, value: bool) {
        self.const_attr(name, if value { "true" } else { "false" });
    }

    #[inline]
    fn raw_attr_start(&mut self, name: &'static str) {
        #[cfg(debug_assertions)]
        debug_assert!(self.in_tag, "attribute {name} outside a start tag");
        self.buffer.push(' ');
        self.buffer.push_str(name);
        self.buffer.push_str("=\"");
    }

    /// Ends the start tag; content may follow.
    #[inline]
    pub(super) fn content(&mut self) {
        #[cfg(debug_assertions)]
        debug_assert!(std::mem::take(&mut self.in_tag), "no start tag to end");
        self.buffer.push('>');
    }

    /// Ends the start tag as that of an element without content.
    #[inline]
    pub(super) fn empty(&mut self) {
        #[cfg(debug_assertions)]
        {
            debug_assert!(std::mem::take(&mut self.in_tag), "no start tag to end");
            self.open.pop();
        }
        self.buffer.push_str("/>");
    }

    /// `<tag>`.
    #[inline]
    pub(super) fn element(&mut self, tag: &'static str) {
        self.open(tag);
        self.content();
    }

    /// `</tag>`.
    #[inline]
    pub(super) fn close(&mut self, tag: &'static str) {
        #[cfg(debug_assertions)]
        {
            debug_assert!(!self.in_tag, "</{tag}> inside a start tag");
            let open = self.open.pop();
            debug_assert_eq!(open, Some(tag), "end tag does not match");
        }
        self.buffer.push_str("</");
        self.buffer.push_str(tag);
        self.buffer.push('>');
    }

    /// Character data, escaped.
    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        #[cfg(debug_assertions)]
        debug_assert!(!self.in_tag, "text inside a start tag");
        self.escape::<false>(text);
    }

    /// Bytes that need no escaping: a part of the prolog, a number.
    #[inline]
    pub(super) fn raw(&mut self, text: &str) {
        self.buffer.push_str(text);
    }

    /// A decimal number.
    pub(super) fn digits(&mut self, negative: bool, mut magnitude: u64) {
        let mut digits = [0u8; 20];
        let mut first = digits.len();
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + (magnitude % 10) as u8;
            magnitude /= 10;
            first -= 1;
            if magnitude == 0 {
                break;
            }
        }
        if negative {
            self.buffer.push('-');
        }
        // Twenty decimal digits hold every u64, and digits are UTF-8.
        let digits = digits.get(first..).unwrap_or_default();
        self.buffer
            .push_str(std::str::from_utf8(digits).unwrap_or_default());
    }

    /// How many bytes are waiting.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// What was written.
    pub(super) fn as_str(&self) -> &str {
        &self.buffer
    }

    /// Hands out the bytes so far; the next ones go to a buffer of that capacity.
    pub(super) fn take(&mut self, capacity: usize) -> Vec<u8> {
        std::mem::replace(&mut self.buffer, String::with_capacity(capacity)).into_bytes()
    }

    /// Whether every element is closed; always `true` where nobody counts.
    pub(super) fn is_balanced(&self) -> bool {
        #[cfg(debug_assertions)]
        return self.open.is_empty() && !self.in_tag;
        #[cfg(not(debug_assertions))]
        true
    }

    fn escape<const ATTRIBUTE: bool>(&mut self, text: &str) {
        let special = |&byte: &u8| {
            let class = SPECIAL[usize::from(byte)];
            class != 0 && (ATTRIBUTE || class != 2)
        };
        let mut rest = text;
        while let Some(at) = rest.as_bytes().iter().position(special) {
            // Every special byte starts a character, so both cuts are at character boundaries.
            let (plain, tail) = rest.split_at(at);
            self.buffer.push_str(plain);
            let mut chars = tail.chars();
            let Some(c) = chars.next() else { return };
            match c {
                '&' => self.buffer.push_str("&amp;"),
                '<' => self.buffer.push_str("&lt;"),
                '>' => self.buffer.push_str("&gt;"),
                '"' => self.buffer.push_str("&quot;"),
                // Unwritten as references these would come back as other white space.
                '\r' => self.buffer.push_str("&#13;"),
                '\n' => self.buffer.push_str("&#10;"),
                '\t' => self.buffer.push_str("&#9;"),
                // XML 1.0 has no way to say the other control characters and the two non-characters.
                c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                    self.buffer.push('\u{fffd}');
                }
                c => self.buffer.push(c),
            }
            rest = chars.as_str();
        }
        self.buffer.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        let mut out = XmlOut::default();
        out.text(text);
        out.buffer
    }

    fn attr(value: &str) -> String {
        let mut out = XmlOut::default();
        out.open("A");
        out.attr("B", value);
        out.empty();
        assert!(out.is_balanced());
        out.buffer
    }

    #[test]
    fn escapes_what_xml_needs_and_nothing_else() {
        assert_eq!(text("plain é 漢 '\"\t\n"), "plain é 漢 '\"\t\n");
        assert_eq!(text("a&b<c>d\re"), "a&amp;b&lt;c&gt;d&#13;e");
        assert_eq!(
            attr("\"a'b\"\t\r\n<"),
            "<A B=\"&quot;a'b&quot;&#9;&#13;&#10;&lt;\"/>"
        );
    }

    #[test]
    fn characters_that_xml_cannot_carry_are_replaced() {
        assert_eq!(
            text("\0a\u{1f}\u{fffe}\u{ffff}\u{fffd}\u{feff}\u{ff21}"),
            "\u{fffd}a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{feff}\u{ff21}"
        );
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 1_000_000, u64::MAX] {
            let mut out = XmlOut::default();
            out.digits(false, number);
            assert_eq!(out.as_str(), number.to_string());
        }
        let mut out = XmlOut::default();
        out.digits(true, i64::MIN.unsigned_abs());
        assert_eq!(out.as_str(), i64::MIN.to_string());
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "end tag does not match")]
    fn unbalanced_tags_are_a_bug() {
        let mut out = XmlOut::default();
        out.element("A");
        out.close("B");
    }
}
