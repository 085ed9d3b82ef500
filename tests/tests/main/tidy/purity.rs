//! A core file holds no async, clock, environment, file, socket, channel, client or shared lock.
//! Layer: test

use proc_macro2::Span;
use syn::{
    ExprAsync, ExprAwait, Macro, Path, PathArguments, Signature, TypePath, UseTree,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::source::{Fault, Source};

/// Paths that do or wait for something. A type such as `std::time::Instant` may be passed in.
const BANNED: [&str; 19] = [
    "Instant::now",
    "SystemTime::now",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "mpsc",
    "oneshot",
    "tokio",
    "futures",
    "rdkafka",
    "rdkafka_sys",
    "reqwest",
    "axum",
    "rusqlite",
    "redis",
    "mongodb",
];

/// Where core and shell meet, a trait's signature may name the future that the shell hands out.
const SEAM: &str = "futures::future::BoxFuture";

pub(super) fn rule(source: &Source) -> Vec<Fault> {
    if source.layer() != Some("core") {
        return Vec::new();
    }
    let mut search = Search {
        source,
        faults: Vec::new(),
    };
    search.visit_file(&source.production);
    search.faults
}

struct Search<'a> {
    source: &'a Source,
    faults: Vec<Fault>,
}

impl Search<'_> {
    fn found(&mut self, span: Span, what: &str) {
        self.faults.push(
            self.source
                .fault_at(span, format!("a core file contains {what}")),
        );
    }

    fn check(&mut self, path: &str, span: Span) {
        // Addresses are values; sockets are not.
        if path == SEAM || (path.starts_with("std::net::") && path.ends_with("Addr")) {
            return;
        }
        // Whole segments only: `mpsc_like` is no channel.
        let whole = format!("::{path}::");
        if let Some(banned) = BANNED
            .iter()
            .find(|banned| whole.contains(&format!("::{banned}::")))
        {
            self.found(span, banned);
        }
    }

    fn check_use(&mut self, prefix: &str, tree: &UseTree) {
        let join = |name: &syn::Ident| {
            if prefix.is_empty() {
                name.to_string()
            } else {
                format!("{prefix}::{name}")
            }
        };
        match tree {
            UseTree::Path(tree) => self.check_use(&join(&tree.ident), &tree.tree),
            UseTree::Name(tree) if tree.ident == "self" => self.check(prefix, tree.span()),
            UseTree::Name(tree) => self.check(&join(&tree.ident), tree.span()),
            UseTree::Rename(tree) => self.check(&join(&tree.ident), tree.span()),
            UseTree::Glob(tree) => self.check(prefix, tree.span()),
            UseTree::Group(tree) => tree
                .items
                .iter()
                .for_each(|tree| self.check_use(prefix, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Search<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.check_use("", &item.tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.check(&joined(path), path.span());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.check(&joined(&call.path), call.span());
        // What a macro makes of its tokens is unknown, so its text is searched.
        let text: String = call.tokens.to_string().split_whitespace().collect();
        for banned in [
            "Instant::now",
            "SystemTime::now",
            "std::env",
            "std::fs",
            ".await",
        ] {
            if text.contains(banned) {
                self.found(call.span(), banned);
            }
        }
    }

    fn visit_signature(&mut self, signature: &'ast Signature) {
        if signature.asyncness.is_some() {
            self.found(signature.span(), "async fn");
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast ExprAsync) {
        self.found(block.span(), "an async block");
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_await(&mut self, expression: &'ast ExprAwait) {
        self.found(expression.span(), ".await");
        visit::visit_expr_await(self, expression);
    }

    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if is_shared_lock(&path.path) {
            self.found(path.span(), "a shared lock");
        }
        visit::visit_type_path(self, path);
    }
}

fn joined(path: &Path) -> String {
    path.segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect::<Vec<_>>()
        .join("::")
}

/// `Arc<Mutex<…>>` or `Arc<RwLock<…>>`.
fn is_shared_lock(path: &Path) -> bool {
    let Some(last) = path
        .segments
        .last()
        .filter(|segment| segment.ident == "Arc")
    else {
        return false;
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return false;
    };
    arguments.args.iter().any(|argument| {
        let syn::GenericArgument::Type(syn::Type::Path(inner)) = argument else {
            return false;
        };
        let name = inner
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string());
        name.is_some_and(|name| name == "Mutex" || name == "RwLock")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(code: &str) -> usize {
        let text = format!("//! Purpose in a sentence.\n//! Layer: core\n{code}");
        rule(&Source::new("a/src/b.rs", &text)).len()
    }

    #[test]
    fn each_impurity_is_found() {
        for code in [
            "async fn f() {}",
            "trait T { async fn f(); }",
            "fn f() { let _ = async {}; }",
            "fn f() { let _ = Instant::now(); }",
            "fn f() { let _ = std::time::SystemTime::now(); }",
            "use std::{env, fmt};",
            "use std::fs::{self, File};",
            "use std::net::TcpStream;",
            "use tokio::sync::Semaphore;",
            "fn f() { tokio::select! {} }",
            "use std::sync::mpsc::sync_channel;",
            "use rdkafka as client;",
            "use futures::future::join_all;",
            "struct S { s: Arc<Mutex<u8>> }",
            "fn f(s: &std::sync::Arc<parking_lot::RwLock<u8>>) {}",
            "fn f() { vec![Instant::now()]; }",
        ] {
            assert!(faults(code) > 0, "not found: {code}");
        }
        assert!(faults("async fn f() { g().await; }") == 2);
    }

    #[test]
    fn what_is_passed_in_is_no_impurity() {
        for code in [
            "use std::time::Instant; fn f(now: Instant) {}",
            "use std::sync::Arc; struct S { s: Arc<str>, m: Mutex<u8> }",
            "#[cfg(test)] mod tests { fn f() { let _ = Instant::now(); } }",
            "use std::{net::SocketAddr, path::PathBuf};",
            "use futures::future::BoxFuture; trait T { fn f(&self) -> BoxFuture<'_, ()>; }",
            "fn f() { env!(\"CARGO_PKG_VERSION\"); }",
        ] {
            assert_eq!(faults(code), 0, "{code}");
        }
        let text = "//! Purpose in a sentence.\n//! Layer: shell\nasync fn f() {}";
        assert!(rule(&Source::new("a/src/b.rs", text)).is_empty());
    }
}
