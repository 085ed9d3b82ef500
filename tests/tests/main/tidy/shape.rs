//! Short functions and files, few arguments, no bool among them, telling names.
//! Layer: test

use proc_macro2::Span;
use syn::{
    FnArg, ImplItemFn, ItemFn, ItemImpl, ItemMod, Signature, TraitItemFn, Type,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::source::{Fault, Source, lines};

const FUNCTION_LINES: usize = 60;
const FILE_LINES: usize = 400;
const ARGUMENTS: usize = 5;
const EMPTY_NAMES: [&str; 5] = ["util", "utils", "helpers", "common", "misc"];

/// A function as found in a file.
struct Function {
    name: String,
    whole: Span,
    arguments: usize,
    bools: usize,
    origin: Origin,
}

/// Who chose the signature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Ours,
    ForeignTrait,
}

/// Functions of at most 60 lines, files of at most 400; a test may hold a longer table.
pub(super) fn lengths(source: &Source) -> Vec<Fault> {
    let long = |function: Function| {
        let length = lines(function.whole);
        let what = format!(
            "fn {} has {length} lines, at most {FUNCTION_LINES}",
            function.name
        );
        (length > FUNCTION_LINES).then(|| source.fault_at(function.whole, what))
    };
    if source.is_test() {
        return Vec::new();
    }
    let found = functions(&source.production);
    let mut faults: Vec<Fault> = found.into_iter().filter_map(long).collect();
    let length = source.production_lines();
    if length > FILE_LINES {
        faults.push(source.fault(
            1,
            format!("{length} production lines, at most {FILE_LINES}"),
        ));
    }
    faults
}

/// At most five arguments, `self` included, none of them a bool: an enum says what it means.
pub(super) fn arguments(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut found = functions(&source.production);
    if !source.is_test() {
        found.extend(functions(&source.tests));
    }
    for Function {
        name,
        whole,
        arguments,
        bools,
        origin,
    } in found
    {
        if origin == Origin::ForeignTrait {
            continue;
        }
        if arguments > ARGUMENTS {
            let what = format!("fn {name} takes {arguments} arguments, at most {ARGUMENTS}");
            faults.push(source.fault_at(whole, what));
        }
        if bools > 0 {
            faults.push(source.fault_at(whole, format!("fn {name} takes a bool, not an enum")));
        }
    }
    faults
}

/// No `mod.rs`, no module named after nothing.
pub(super) fn names(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let file = source.path.rsplit('/').next().unwrap_or_default();
    if file == "mod.rs" {
        faults.push(source.fault(1, "a mod.rs; write foo.rs beside foo/"));
    }
    let stem = file.trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&stem) {
        faults.push(source.fault(1, format!("{stem} says nothing about what is in it")));
    }
    let mut modules = Modules(Vec::new());
    modules.visit_file(&source.production);
    for (name, span) in modules.0 {
        if EMPTY_NAMES.contains(&name.as_str()) {
            faults.push(source.fault_at(span, format!("mod {name} says nothing")));
        }
    }
    faults
}

struct Modules(Vec<(String, Span)>);

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.0.push((module.ident.to_string(), module.span()));
        visit::visit_item_mod(self, module);
    }
}

fn functions(file: &syn::File) -> Vec<Function> {
    let mut search = Functions {
        found: Vec::new(),
        origin: Origin::Ours,
    };
    search.visit_file(file);
    search.found
}

struct Functions {
    found: Vec<Function>,
    origin: Origin,
}

impl Functions {
    fn push(&mut self, signature: &Signature, end: Span) {
        let is_bool = |argument: &&FnArg| match argument {
            FnArg::Typed(argument) => {
                matches!(&*argument.ty, Type::Path(ty) if ty.path.is_ident("bool"))
            }
            FnArg::Receiver(_) => false,
        };
        self.found.push(Function {
            name: signature.ident.to_string(),
            whole: signature.span().join(end).unwrap_or(end),
            arguments: signature.inputs.len(),
            bools: signature.inputs.iter().filter(is_bool).count(),
            origin: self.origin,
        });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.push(&function.sig, function.block.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        let outer = self.origin;
        self.origin = if block.trait_.is_some() {
            Origin::ForeignTrait
        } else {
            Origin::Ours
        };
        visit::visit_item_impl(self, block);
        self.origin = outer;
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.push(&function.sig, function.block.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        let end = function
            .default
            .as_ref()
            .map_or(function.sig.span(), Spanned::span);
        self.push(&function.sig, end);
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_functions_and_files_are_found() {
        let body = "    let _ = 1;\n".repeat(58);
        let count = |path: &str, text: &str| lengths(&Source::new(path, text)).len();
        assert_eq!(count("a/src/b.rs", &format!("fn f() {{\n{body}}}\n")), 0);
        assert_eq!(count("a/src/b.rs", &format!("fn f() {{\n{body}\n}}\n")), 1);
        assert_eq!(
            count(
                "a/src/b.rs",
                &format!("impl S {{ fn f() {{\n{body}\n}} }}\n")
            ),
            1
        );
        assert_eq!(
            count("a/tests/b.rs", &format!("fn f() {{\n{body}\n}}\n")),
            0
        );
        let many = "const A: u8 = 1;\n".repeat(401);
        assert_eq!(count("a/src/b.rs", &many), 1);
        assert_eq!(count("a/tests/b.rs", &many), 0);
        assert_eq!(
            count("a/src/b.rs", &format!("#[cfg(test)]\nmod t {{\n{many}}}\n")),
            0
        );
    }

    #[test]
    fn many_arguments_and_bools_are_found() {
        let count = |text: &str| arguments(&Source::new("a/src/b.rs", text)).len();
        assert_eq!(count("fn f(a: u8, b: u8, c: u8, d: u8, e: u8) {}"), 0);
        assert_eq!(
            count("fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}"),
            1
        );
        assert_eq!(count("impl S { fn f(&self, deep: bool) {} }"), 1);
        assert_eq!(count("trait T { fn f(deep: bool); }"), 1);
        assert_eq!(count("#[cfg(test)] mod t { fn f(deep: bool) {} }"), 1);
        assert_eq!(
            count("impl Visitor for S { fn visit_bool(self, v: bool) {} }"),
            0
        );
        assert_eq!(count("fn f(deep: Depth) -> bool { true }"), 0);
    }

    #[test]
    fn empty_names_are_found() {
        let count = |path: &str, text: &str| names(&Source::new(path, text)).len();
        assert_eq!(count("a/src/b/mod.rs", ""), 1);
        assert_eq!(count("a/src/utils.rs", ""), 1);
        assert_eq!(count("a/src/b.rs", "mod helpers;"), 1);
        assert_eq!(count("a/src/b.rs", "mod bytes;"), 0);
    }
}
