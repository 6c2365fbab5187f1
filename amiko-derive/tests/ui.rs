//! What users see when they get something wrong: one case for each error, with its text and its place. `TRYBUILD=overwrite`
//! writes the expected texts anew; read them before they are kept.

#[test]
fn what_is_wrong_is_said_where_it_stands_and_what_is_right_compiles() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/attributes/*.rs");
    cases.compile_fail("tests/ui/tree/*.rs");
    cases.compile_fail("tests/ui/node/*.rs");
    cases.compile_fail("tests/ui/key/*.rs");
    cases.compile_fail("tests/ui/phases/*.rs");
    cases.compile_fail("tests/ui/polymorphic/*.rs");
    cases.compile_fail("tests/ui/effects/*.rs");
    cases.compile_fail("tests/ui/traits/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}
