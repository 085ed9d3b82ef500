//! Which top-level fields of a variable an expression reads, so that only those are converted.
//! Layer: core

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};

/// What is read of one variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Fields selected directly below the variable, without doubles.
    pub(super) fields: Vec<Box<str>>,
    /// Whether the variable occurs in another way, so that all of it may be read.
    pub(super) whole: bool,
}

impl Uses {
    /// Walks the expression. A macro's local of the same name only adds fields.
    pub(super) fn of(variable: &str, expression: &Expr) -> Self {
        let mut uses = Self::default();
        uses.visit(variable, expression);
        uses
    }

    /// Whether the variable occurs at all.
    pub(super) fn any(&self) -> bool {
        self.whole || !self.fields.is_empty()
    }

    /// Whether this field may be read.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.whole || self.fields.iter().any(|field| **field == *name)
    }

    fn visit(&mut self, variable: &str, expression: &Expr) {
        match expression {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.whole |= name == variable,
            Expr::Select(select) if is(variable, &select.operand.expr) => self.field(&select.field),
            Expr::Select(select) => self.visit(variable, &select.operand.expr),
            Expr::Call(call) => self.call(variable, call),
            Expr::Comprehension(loops) => {
                let parts = [&loops.iter_range, &loops.accu_init, &loops.loop_cond];
                let rest = [&loops.loop_step, &loops.result];
                parts
                    .into_iter()
                    .chain(rest)
                    .for_each(|part| self.visit(variable, &part.expr));
            }
            Expr::List(list) => list
                .elements
                .iter()
                .for_each(|e| self.visit(variable, &e.expr)),
            Expr::Map(map) => map
                .entries
                .iter()
                .for_each(|e| self.entry(variable, &e.expr)),
            Expr::Struct(literal) => {
                literal
                    .entries
                    .iter()
                    .for_each(|e| self.entry(variable, &e.expr));
            }
        }
    }

    fn call(&mut self, variable: &str, call: &CallExpr) {
        if let ("_[_]", [operand, index]) = (call.func_name.as_str(), call.args.as_slice())
            && is(variable, &operand.expr)
            && let Expr::Literal(LiteralValue::String(name)) = &index.expr
        {
            return self.field(name.inner());
        }
        let target = call.target.iter().map(AsRef::as_ref);
        target
            .chain(&call.args)
            .for_each(|part| self.visit(variable, &part.expr));
    }

    fn entry(&mut self, variable: &str, entry: &EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(variable, &field.value.expr),
            EntryExpr::MapEntry(pair) => {
                self.visit(variable, &pair.key.expr);
                self.visit(variable, &pair.value.expr);
            }
        }
    }

    fn field(&mut self, name: &str) {
        if !self.fields.iter().any(|known| **known == *name) {
            self.fields.push(name.into());
        }
    }
}

fn is(variable: &str, expression: &Expr) -> bool {
    matches!(expression, Expr::Ident(name) if name == variable)
}
