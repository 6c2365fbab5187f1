//! Open polymorphism: classes that are found by their names, behind a trait.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::prelude::*;
use amiko_core::serializable::{Reader, check_classes, summary};
use amiko_core::{Patch, apply_patch};

#[amiko(polymorphic)]
trait Shape: Serializable + Send {
    fn area(&self) -> f64;
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(implements(Shape))]
struct Square {
    side: f64,
}

impl Shape for Square {
    fn area(&self) -> f64 {
        self.side * self.side
    }
}

/// In a module of its own, as in another crate.
mod elsewhere {
    use super::{Serializable, Shape};
    use amiko_core::Secret;

    #[derive(Debug, Clone, PartialEq, Serializable)]
    #[amiko(class = "Round", implements(Shape))]
    pub(super) struct Circle {
        pub(super) radius: f64,
        #[amiko(secret, default)]
        pub(super) colour: Secret<String>,
    }

    impl Shape for Circle {
        fn area(&self) -> f64 {
            self.radius * self.radius * std::f64::consts::PI
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Drawing {
    shapes: Vec<Box<dyn Shape>>,
}

fn drawing() -> Drawing {
    let circle = elsewhere::Circle { radius: 1.0, colour: Secret::new("red".into()) };
    Drawing { shapes: vec![Box::new(Square { side: 2.0 }), Box::new(circle)] }
}

#[test]
fn each_object_is_found_by_the_name_of_its_class() {
    let text = to_json(&drawing()).unwrap();
    assert_eq!(
        text,
        r#"{"_class":"Drawing","shapes":[{"_class":"Square","side":2.0},{"_class":"Round","radius":1.0,"colour":"red"}]}"#
    );
    let read: Drawing = from_json(&text).unwrap();
    assert_eq!(read, drawing());
    assert!((read.shapes[0].area() - 4.0).abs() < f64::EPSILON);
    assert!((*read.shapes[1]).as_any().downcast_ref::<elsewhere::Circle>().is_some());
}

#[test]
fn an_unknown_class_says_which_are_known() {
    let text = r#"{"_class":"Drawing","shapes":[{"_class":"Cube","side":2}]}"#;
    assert_eq!(
        from_json::<Drawing>(text).unwrap_err().to_string(),
        r#"shapes[0]: expected the class Round or Square, found "Cube" (line 1, column 31)"#
    );
}

#[test]
fn the_difference_is_that_of_the_class_or_another_object() {
    let old = drawing();
    let mut new = old.clone();
    new.shapes[0] = Box::new(Square { side: 3.0 });
    let mut patch = Patch::new();
    new.difference(&old, &mut patch).unwrap();
    assert_eq!(patch.to_json(), r#"[{"op":"replace","path":"/shapes/0/side","value":3.0}]"#);
    new.shapes[0] = Box::new(elsewhere::Circle { radius: 5.0, colour: Secret::new(String::new()) });
    let mut patch = Patch::new();
    new.difference(&old, &mut patch).unwrap();
    let mut patched = old;
    apply_patch(&mut patched, &mut Reader::new(&patch.to_json())).unwrap();
    assert_eq!(patched, new);
}

#[test]
fn people_see_no_secret_behind_a_trait() {
    assert_eq!(
        summary(&drawing()),
        "Drawing\n  shapes: 2\n    Square\n      side: 2.0\n    Round\n      radius: 1.0\n      colour: (secret)"
    );
    assert!(!format!("{:?}", drawing()).contains("red"));
}

#[amiko(polymorphic)]
trait Twin: Serializable {}

mod one {
    #[derive(Debug, Clone, amiko_core::Serializable)]
    #[amiko(class = "Same", implements(super::Twin))]
    pub(super) struct First {}
    impl super::Twin for First {}
}

mod other {
    #[derive(Debug, Clone, amiko_core::Serializable)]
    #[amiko(class = "Same", implements(super::Twin))]
    pub(super) struct Second {}
    impl super::Twin for Second {}
}

#[test]
fn a_class_name_that_is_used_twice_is_refused_with_both_places() {
    let _both = (one::First {}, other::Second {});
    let used = from_json::<Box<dyn Twin>>(r#"{"_class":"Same"}"#).unwrap_err().to_string();
    let checked = check_classes().unwrap_err();
    for text in [used, checked.to_string()] {
        assert!(text.contains("expected one class named \"Same\", found two"), "{text}");
        assert_eq!(text.matches("polymorphic.rs:").count(), 2, "{text}");
    }
    assert!(from_json::<Box<dyn Shape>>(r#"{"_class":"Square","side":1}"#).is_ok(), "others are still found");
}

#[test]
fn an_object_behind_a_trait_can_be_a_transparent_variant() {
    #[derive(Debug, Serializable)]
    enum Drawing {
        #[amiko(transparent)]
        Shape(Box<dyn Shape>),
        Text {
            text: String,
        },
    }
    let drawing = Drawing::Shape(Box::new(Square { side: 2.0 }));
    let text = to_json(&drawing).unwrap();
    let read: Drawing = from_json(&text).unwrap();
    assert!(matches!(&read, Drawing::Shape(shape) if shape.area() == 4.0), "{read:?}");
    let error = from_json::<Drawing>(r#"{"_class":"Nothing"}"#).unwrap_err().to_string();
    assert!(error.contains("Square") && error.contains("Text"), "{error}");
}

#[test]
fn a_trait_may_have_other_supertraits() {
    use std::fmt::{self, Debug, Display};

    trait Other {
        fn summarize_object(&self) -> u64 {
            7
        }
    }

    #[amiko(polymorphic)]
    trait Named: Serializable + Debug + Display + Send + Sync + Other {}

    #[amiko(polymorphic)]
    trait Shown: Serializable
    where
        Self: Debug,
    {
    }

    #[derive(Debug, Clone, Serializable)]
    #[amiko(implements(Named, Shown))]
    struct Town {
        name: String,
    }

    impl Display for Town {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.name)
        }
    }
    impl Other for Town {}
    impl Named for Town {}
    impl Shown for Town {}

    #[derive(Debug, Clone, Serializable)]
    struct Both {
        named: Box<dyn Named>,
        shown: Box<dyn Shown>,
    }

    fn is_shared<T: Send + Sync>(value: T) -> T {
        value
    }

    let town = Town { name: "Bonn".into() };
    let both = Both { named: Box::new(town.clone()), shown: Box::new(town) };
    let read: Both = from_json(&to_json(&both).unwrap()).unwrap();
    let named = is_shared(read.named.clone());
    assert_eq!((named.to_string(), Other::summarize_object(&*named)), ("Bonn".into(), 7));
    assert_eq!(format!("{named:?} {:?}", read.shown), r#"Town { name: "Bonn" } Town { name: "Bonn" }"#);
    assert_eq!(&*named, &*both.named);
}
