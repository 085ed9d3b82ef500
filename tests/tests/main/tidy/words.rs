//! Words that do not belong: allow attributes, floats in the memory law, sleeps, unbounded queues.
//! Layer: test

use proc_macro2::Span;
use syn::{
    Attribute, Expr, ExprCall, ExprMethodCall, LitFloat, Path,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::source::{Fault, Source};

/// Exceptions are `#[expect]` with a reason: they end when their cause does.
pub(super) fn allow(source: &Source) -> Vec<Fault> {
    faults(source, Where::Everywhere, |word| match word {
        Word::Attribute(name) if name == "allow" => Some("#[allow]; write #[expect] with a reason"),
        _ => None,
    })
}

/// Integers make a plan equal on every machine.
pub(super) fn floats(source: &Source) -> Vec<Fault> {
    if !source.path.starts_with("processor/sizing/") {
        return Vec::new();
    }
    faults(source, Where::Everywhere, |word| match word {
        Word::Path(path) if path.iter().any(|name| name == "f32" || name == "f64") => {
            Some("a float in the memory law")
        }
        Word::Float => Some("a float in the memory law"),
        _ => None,
    })
}

/// Tests wait for conditions or advance a virtual clock. In a file of paused time a sleep of the
/// runtime is such an advance.
pub(super) fn sleeps(source: &Source) -> Vec<Fault> {
    let paused = source.text.contains("start_paused");
    faults(source, Where::Tests, |word| match word {
        Word::Call(path, _) if path.last().is_some_and(|name| name == "sleep") => {
            let blocking = path.iter().any(|name| name == "thread");
            (blocking || !paused).then_some("a sleep in a test")
        }
        _ => None,
    })
}

/// Every queue and channel is bounded. Only the standard library's unbounded `channel()` takes no
/// argument.
pub(super) fn bounds(source: &Source) -> Vec<Fault> {
    let what = Some("an unbounded queue or channel");
    faults(source, Where::Everywhere, |word| match word {
        Word::Path(path) if path.iter().any(|name| is_unbounded(name)) => what,
        Word::Call(path, 0) if path.last().is_some_and(|name| name == "channel") => {
            // A channel of one message is bounded by its type.
            if path.iter().any(|name| name == "oneshot") {
                None
            } else {
                what
            }
        }
        _ => None,
    })
}

fn is_unbounded(name: &str) -> bool {
    [
        "unbounded",
        "unbounded_channel",
        "UnboundedSender",
        "UnboundedReceiver",
    ]
    .contains(&name)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Everywhere,
    Tests,
}

/// What the rules look at.
enum Word {
    Attribute(String),
    Path(Vec<String>),
    Float,
    /// Callee and number of arguments.
    Call(Vec<String>, usize),
}

fn faults(
    source: &Source,
    r#where: Where,
    rule: impl Fn(Word) -> Option<&'static str>,
) -> Vec<Fault> {
    let mut words = Words(Vec::new());
    if r#where == Where::Everywhere || source.is_test() {
        words.visit_file(&source.production);
    }
    if !source.is_test() {
        words.visit_file(&source.tests);
    }
    let fault = |(word, span): (Word, Span)| rule(word).map(|what| source.fault_at(span, what));
    words.0.into_iter().filter_map(fault).collect()
}

struct Words(Vec<(Word, Span)>);

impl<'ast> Visit<'ast> for Words {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let names = segments(attribute.path());
        self.0
            .push((Word::Attribute(names.join("::")), attribute.span()));
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.0.push((Word::Path(segments(path)), path.span()));
        visit::visit_path(self, path);
    }

    fn visit_use_name(&mut self, name: &'ast syn::UseName) {
        self.0
            .push((Word::Path(vec![name.ident.to_string()]), name.span()));
    }

    fn visit_lit_float(&mut self, literal: &'ast LitFloat) {
        self.0.push((Word::Float, literal.span()));
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(callee) = &*call.func {
            self.0.push((
                Word::Call(segments(&callee.path), call.args.len()),
                call.span(),
            ));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.0.push((
            Word::Call(vec![call.method.to_string()], call.args.len()),
            call.span(),
        ));
        visit::visit_expr_method_call(self, call);
    }
}

fn segments(path: &Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_attributes_are_found() {
        let count = |text: &str| allow(&Source::new("a/src/b.rs", text)).len();
        assert_eq!(
            count("#![allow(dead_code)]\n#[allow(dead_code)] fn f() {}"),
            2
        );
        assert_eq!(count("fn f() { #[allow(unused)] let a = 1; }"), 1);
        assert_eq!(count("#[expect(dead_code, reason = \"x\")] fn f() {}"), 0);
    }

    #[test]
    fn floats_are_found_in_the_memory_law_alone() {
        let count = |path: &str, text: &str| floats(&Source::new(path, text)).len();
        let law = "processor/sizing/src/b.rs";
        assert_eq!(count(law, "fn f(a: f64) {}"), 1);
        assert_eq!(count(law, "fn f() { let _ = 1 as f32; }"), 1);
        assert_eq!(count(law, "const A: u8 = 1.5;"), 1);
        assert_eq!(count(law, "const A: u8 = 15;"), 0);
        assert_eq!(count("processor/src/b.rs", "fn f(a: f64) {}"), 0);
    }

    #[test]
    fn sleeps_are_found_in_tests_alone() {
        let count = |path: &str, text: &str| sleeps(&Source::new(path, text)).len();
        assert_eq!(
            count("a/tests/b.rs", "fn f() { std::thread::sleep(d); }"),
            1
        );
        assert_eq!(
            count(
                "a/tests/b.rs",
                "async fn f() { tokio::time::sleep(d).await; }"
            ),
            1
        );
        assert_eq!(
            count(
                "a/src/b.rs",
                "#[cfg(test)] mod t { fn f() { clock.sleep(d); } }"
            ),
            1
        );
        assert_eq!(count("a/src/b.rs", "fn f() { std::thread::sleep(d); }"), 0);
        let paused = "#[tokio::test(start_paused = true)] async fn f() { sleep(d).await; }";
        assert_eq!(count("a/tests/b.rs", paused), 0);
        let paused = "#[tokio::test(start_paused = true)] async fn f() { thread::sleep(d); }";
        assert_eq!(count("a/tests/b.rs", paused), 1);
    }

    #[test]
    fn unbounded_queues_are_found() {
        let count = |text: &str| bounds(&Source::new("a/src/b.rs", text)).len();
        assert_eq!(
            count("fn f() { let _ = tokio::sync::mpsc::unbounded_channel::<u8>(); }"),
            1
        );
        assert_eq!(count("use crossbeam::channel::{bounded, unbounded};"), 1);
        assert_eq!(
            count("fn f() { let _ = std::sync::mpsc::channel::<u8>(); }"),
            1
        );
        assert_eq!(count("fn f(s: UnboundedSender<u8>) {}"), 1);
        assert_eq!(count("fn f() { let _ = mpsc::channel::<u8>(8); }"), 0);
        assert_eq!(count("fn f() { let _ = oneshot::channel::<u8>(); }"), 0);
    }
}
