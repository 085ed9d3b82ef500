//! Which texts have a cheap form, what is read, and that every function listed exists.
//! Layer: test

use super::*;

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|fault| panic!("{fault}"))
}

fn fields(names: &[&str]) -> Box<[Box<str>]> {
    names.iter().map(|name| Box::from(*name)).collect()
}

fn path(text: &str) -> Option<Path> {
    match parse(text).form() {
        Form::Path(path) => Some(path.clone()),
        _ => None,
    }
}

#[test]
fn plain_fields_are_paths() {
    assert_eq!(path("event"), Some(Path::Event(fields(&[]))));
    assert_eq!(
        path("event.customer.email"),
        Some(Path::Event(fields(&["customer", "email"])))
    );
    assert_eq!(
        path("event[\"a b\"].c"),
        Some(Path::Event(fields(&["a b", "c"])))
    );
    assert_eq!(
        path("(context.adLead.campaign)"),
        Some(Path::Context(fields(&["adLead", "campaign"])))
    );
    assert_eq!(path("record.key"), Some(Path::Record(RecordField::Key)));
    assert_eq!(
        path("record.timestamp"),
        Some(Path::Record(RecordField::Timestamp))
    );
    let header = Path::Record(RecordField::Header("trace-id".into()));
    assert_eq!(path("record.headers[\"trace-id\"]"), Some(header));
    assert_eq!(path("event.items[0].id"), None);
    assert_eq!(path("record"), None);
    assert_eq!(path("event.a + 1"), None);
}

#[test]
fn presence_and_literals_are_cheap() {
    assert!(
        matches!(parse("has(event.a.b)").form(), Form::Has(p) if *p == Path::Event(fields(&["a", "b"])))
    );
    assert!(matches!(
        parse("has(context.a)").form(),
        Form::Has(Path::Context(_))
    ));
    assert!(matches!(parse("42").form(), Form::Integer(42)));
    assert!(matches!(parse("-42").form(), Form::Integer(-42)));
    assert!(matches!(parse("'shop'").form(), Form::Text(text) if &**text == "shop"));
    assert!(matches!(parse("!has(event.a)").form(), Form::Cel(_)));
    assert!(matches!(parse("true").form(), Form::Cel(_)));
}

#[test]
fn names_that_are_read_are_known() {
    let expression =
        parse("event.items.all(x, x.n > 1) && has(context.lead.id) && record.offset > 1");
    assert_eq!(
        expression.roots(),
        Roots {
            event: true,
            record: true,
            context: true
        }
    );
    assert_eq!(expression.context_fields().collect::<Vec<_>>(), ["lead"]);
    assert_eq!(
        parse("record.key").roots(),
        Roots {
            record: true,
            ..Roots::default()
        }
    );
    assert_eq!(parse("{'event': 1}").roots(), Roots::default());
}

#[test]
fn locals_end_with_their_macro_and_may_hide_a_variable() {
    assert!(Expression::parse("event.a.exists(x, x > 1) && x > 1").is_err());
    assert!(Expression::parse("event.a.map(record, record.anything).size() > 0").is_ok());
    assert!(Expression::parse("event.a.filter(x, x.b.exists(y, y == x.c)).size() > 0").is_ok());
}

#[test]
fn every_listed_function_exists() {
    let macros = ["all", "exists", "exists_one", "filter", "has", "map"];
    let unknown = scope::FUNCTIONS.iter().filter(|function| {
        let calls = [format!("{function}(1)"), format!("'a'.{function}()")];
        !macros.contains(function)
            && calls.iter().all(|text| {
                let result = Program::compile(text)
                    .unwrap()
                    .execute(&cel::Context::default());
                matches!(result, Err(cel::ExecutionError::UndeclaredReference(_)))
            })
    });
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn types_have_names() {
    for (value, kind) in [
        ("1", "int"),
        ("'a'", "string"),
        ("null", "null_type"),
        ("[1]", "list"),
    ] {
        let expression = parse(&format!("type({value}) == {kind}"));
        let Form::Cel(program) = expression.form() else {
            panic!("{kind} is not cheap")
        };
        assert_eq!(
            program.execute(&cel::Context::default()),
            Ok(true.into()),
            "{kind}"
        );
    }
}

#[test]
fn no_text_is_a_panic() {
    for text in [
        "", "(", "event.", "'", "\u{0}", "event.é", "a.b.c.d(", "[", "{", "[[[[", "1.", "0x",
    ] {
        let _ = Expression::parse(text);
    }
}
