//! The names in an expression: variables, macro locals, functions and fields of the record.
//! Layer: core

use std::collections::BTreeSet;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr},
};

use super::{ExpressionFault, MAX_MACRO_DEPTH, RecordField, Roots};

/// The functions of CEL's standard library that exist here, macros included; no `matches`, whose
/// cost nobody bounds.
pub(super) const FUNCTIONS: &[&str] = &[
    "all",
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "int",
    "map",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Names of CEL's types, for `type(event.a) == int`.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

/// What an expression reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Variables.
    pub(super) roots: Roots,
    /// Fields of `context`, each once.
    pub(super) context_fields: BTreeSet<String>,
}

/// Walks the expression; answers what it reads.
pub(super) fn check(text: &str, expression: &IdedExpr) -> Result<Names, ExpressionFault> {
    let mut scope = Scope {
        text,
        names: Names::default(),
        locals: Vec::new(),
        depth: 0,
    };
    scope.visit(&expression.expr)?;
    Ok(scope.names)
}

/// The names of a plain field, root first; `x["name"]` counts as a field.
pub(super) fn segments(expression: &Expr) -> Option<Vec<&str>> {
    let mut segments = Vec::new();
    let mut rest = expression;
    loop {
        match rest {
            Expr::Ident(name) => {
                segments.push(name.as_str());
                segments.reverse();
                return Some(segments);
            }
            Expr::Select(select) if !select.test => {
                segments.push(select.field.as_str());
                rest = &select.operand.expr;
            }
            Expr::Call(call) => {
                let (operand, field) = text_index(call)?;
                segments.push(field);
                rest = operand;
            }
            _ => return None,
        }
    }
}

fn text_index(call: &CallExpr) -> Option<(&Expr, &str)> {
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("_[_]", [operand, index]) => match &index.expr {
            Expr::Literal(LiteralValue::String(name)) => Some((&operand.expr, name.inner())),
            _ => None,
        },
        _ => None,
    }
}

struct Scope<'a> {
    text: &'a str,
    names: Names,
    locals: Vec<&'a str>,
    depth: u32,
}

impl<'a> Scope<'a> {
    fn visit(&mut self, expression: &'a Expr) -> Result<(), ExpressionFault> {
        match expression {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(expression, select),
            Expr::Call(call) => self.call(expression, call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => list.elements.iter().try_for_each(|e| self.visit(&e.expr)),
            Expr::Map(map) => map.entries.iter().try_for_each(|e| self.entry(&e.expr)),
            Expr::Struct(literal) => Err(self.unknown_function(&literal.type_name)),
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) -> Result<(), ExpressionFault> {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value.expr),
            EntryExpr::MapEntry(pair) => {
                self.visit(&pair.key.expr)?;
                self.visit(&pair.value.expr)
            }
        }
    }

    fn variable(&mut self, name: &str) -> Result<(), ExpressionFault> {
        match name {
            local if self.locals.contains(&local) => {}
            "event" => self.names.roots.event = true,
            "record" => self.names.roots.record = true,
            "context" => self.names.roots.context = true,
            kind if TYPES.contains(&kind) => {}
            other => {
                let (text, variable) = (self.text.to_owned(), other.to_owned());
                return Err(ExpressionFault::UnknownVariable { text, variable });
            }
        }
        Ok(())
    }

    fn select(&mut self, whole: &'a Expr, select: &'a SelectExpr) -> Result<(), ExpressionFault> {
        let fields = if select.test {
            segments(&select.operand.expr).map(|mut operand| {
                operand.push(&select.field);
                operand
            })
        } else {
            segments(whole)
        };
        self.field(fields.as_deref())?;
        self.visit(&select.operand.expr)
    }

    fn call(&mut self, whole: &'a Expr, call: &'a CallExpr) -> Result<(), ExpressionFault> {
        self.field(segments(whole).as_deref())?;
        let name = call.func_name.as_str();
        let operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !operator && !FUNCTIONS.contains(&name) {
            return Err(self.unknown_function(name));
        }
        let target = call.target.iter().map(AsRef::as_ref);
        target
            .chain(&call.args)
            .try_for_each(|part| self.visit(&part.expr))
    }

    fn comprehension(&mut self, loops: &'a ComprehensionExpr) -> Result<(), ExpressionFault> {
        self.visit(&loops.iter_range.expr)?;
        self.visit(&loops.accu_init.expr)?;
        self.depth += 1;
        if self.depth > MAX_MACRO_DEPTH {
            return Err(ExpressionFault::TooDeep {
                text: self.text.to_owned(),
                depth: self.depth,
            });
        }
        let outer = self.locals.len();
        self.locals.push(&loops.iter_var);
        self.locals.extend(loops.iter_var2.as_deref());
        self.locals.push(&loops.accu_var);
        self.visit(&loops.loop_cond.expr)?;
        self.visit(&loops.loop_step.expr)?;
        self.visit(&loops.result.expr)?;
        self.locals.truncate(outer);
        self.depth -= 1;
        Ok(())
    }

    /// A plain field below `record` must exist, one below `context` is noted; unless a macro's
    /// local hides the variable.
    fn field(&mut self, fields: Option<&[&str]>) -> Result<(), ExpressionFault> {
        match fields {
            Some([root, ..]) if self.locals.contains(root) => {}
            Some(["context", field, ..]) => {
                self.names.context_fields.insert((*field).to_owned());
            }
            Some(["record", below @ ..])
                if !below.is_empty() && RecordField::from_segments(below).is_none() =>
            {
                let (text, field) = (self.text.to_owned(), below.join("."));
                return Err(ExpressionFault::UnknownRecordField { text, field });
            }
            _ => {}
        }
        Ok(())
    }

    fn unknown_function(&self, function: &str) -> ExpressionFault {
        let (text, function) = (self.text.to_owned(), function.to_owned());
        ExpressionFault::UnknownFunction { text, function }
    }
}
