//! Diagnostics as text for people: message, place, the line and a caret under it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::diagnostic::Diagnostic;
use super::source::{Sources, Span};

/// The diagnostic with file, line, column and source line, without colours.
pub fn render(problem: &Diagnostic, sources: &Sources) -> String {
    let title = problem.problem.to_string();
    let mut snippet = snippet(problem.span, sources)
        .annotation(AnnotationKind::Primary.span(bytes(problem.span, sources)));
    let mut elsewhere = None;
    if let Some((span, label)) = problem.related.as_deref().copied() {
        let context = AnnotationKind::Context
            .span(bytes(span, sources))
            .label(label);
        if sources.name(span) == sources.name(problem.span) {
            snippet = snippet.annotation(context);
        } else {
            elsewhere = Some(self::snippet(span, sources).annotation(context));
        }
    }
    let group = Level::ERROR.primary_title(title.as_str()).element(snippet);
    Renderer::plain().render(&[group.elements(elsewhere)])
}

fn snippet<'a>(span: Span, sources: &'a Sources) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(sources.text(span)).path(sources.name(span))
}

/// The range of a span; an empty one is widened to a character so that a caret shows.
fn bytes(span: Span, sources: &Sources) -> std::ops::Range<usize> {
    let length = sources.text(span).len();
    let start = span.start.min(length);
    start..span.end.clamp(start, length)
}
