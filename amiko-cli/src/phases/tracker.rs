//! Which phases objects are in, record by record.
//!
//! Invariant: of the document, one entry for each phase that something is in is kept, and nothing else.

use super::shape::{Shape, Type, Within, join};
use crate::directory::{Source, State};
use crate::failure::Failure;
use amiko_inspector::reading::{Change, Operation, Path, Record, Tree};
use std::collections::BTreeMap;

/// The phases that objects are in.
pub(crate) struct Tracker {
    pub(super) shape: Shape,
    /// The state of the node, of which its class is what matters.
    root: Option<Type>,
    /// By the path of the field that is in it.
    present: BTreeMap<String, Present>,
    /// The version that it is.
    pub(super) version: u64,
    /// Records were missing between two.
    pub(super) gap: bool,
}

#[derive(Clone, Copy)]
struct Present {
    within: Within,
    since: Option<u64>,
}

/// What a record did to a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Entered(Within),
    /// The time at which it had been entered, in milliseconds since 1970; none, if that was before the first record.
    Left(Within, Option<u64>),
}

/// Where the state is in a document.
const STATE: &str = "/state";

impl Tracker {
    /// As it was before the first record from this version on.
    pub(crate) fn before(source: &Source<'_>, shape: Shape, from: u64) -> Result<Self, Failure> {
        let State { version, tree } = source.before(from)?;
        Ok(Self::new(shape, version, &tree))
    }

    fn new(shape: Shape, version: u64, document: &Tree) -> Self {
        let state = document.at(&Path::parse(STATE));
        let root = state.and_then(|state| shape.of_object(state));
        let mut present = BTreeMap::new();
        if let (Some(state), Some(root)) = (state, root) {
            shape.find(root, state, &mut STATE.to_owned(), &mut |path, within| {
                present.insert(path.to_owned(), Present { within, since: None });
            });
        }
        Self { shape, root, present, version, gap: false }
    }

    /// All phases that something is in now.
    pub(super) fn present(&self) -> impl Iterator<Item = Within> {
        self.present.values().map(|present| present.within)
    }

    /// Goes on with the next record.
    pub(crate) fn record(&mut self, record: &Record, visit: &mut dyn FnMut(Move)) {
        // An older one is in the document that it began with.
        if record.version > self.version {
            self.gap |= record.version - self.version > 1;
            self.version = record.version;
            record.patch.iter().for_each(|operation| self.apply(operation, record.time, visit));
        }
    }

    fn apply(&mut self, Operation { path, change }: &Operation, time: u64, visit: &mut dyn FnMut(Move)) {
        let value = match change {
            Change::Add(value) | Change::Replace(value) => Some(value),
            Change::Remove => None,
        };
        let (value, path) = match path.0.first().map(String::as_str) {
            // The whole document.
            None => (value.and_then(|value| value.at(&Path::parse(STATE))), Path::parse(STATE)),
            Some("state") => (value, path.clone()),
            Some(_) => return,
        };
        let mut now = BTreeMap::new();
        if let (Some(value), Some(ty)) = (value, self.type_at(&path)) {
            self.shape.find(ty, value, &mut path.to_string(), &mut |path, within| {
                now.insert(path.to_owned(), within);
            });
        }
        for (path, was) in self.take(&path.to_string()) {
            if now.get(&path) == Some(&was.within) {
                now.remove(&path);
                self.present.insert(path, was);
            } else {
                visit(Move::Left(was.within, was.since));
            }
        }
        for (path, within) in now {
            visit(Move::Entered(within));
            self.present.insert(path, Present { within, since: Some(time) });
        }
    }

    /// The type of what stands at a path.
    fn type_at(&self, path: &Path) -> Option<Type> {
        let (mut ty, mut at) = (self.root, STATE.to_owned());
        for segment in path.0.iter().skip(1) {
            let phase = self.present.get(&at).map(|present| present.within);
            ty = ty.and_then(|ty| self.shape.part(ty, segment, phase));
            join(&mut at, segment);
        }
        // What is there already has been seen with its class: it is known better than by the class around it, of which one variant may
        // have a field of the same name as another.
        self.present.get(&at).map(|present| Shape::of_enum(present.within.of)).or(ty)
    }

    /// Takes what is at a path, and below it.
    fn take(&mut self, path: &str) -> Vec<(String, Present)> {
        let below = format!("{path}/");
        let within = self.present.range(below.clone()..).take_while(|(path, _)| path.starts_with(&below));
        let paths: Vec<String> = within.map(|(path, _)| path.clone()).collect();
        let paths = std::iter::once(path.to_owned()).chain(paths);
        paths.filter_map(|path| self.present.remove_entry(&path)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what fails here fails the test")]
mod tests {
    use super::*;
    use amiko_core::serializable::{Classes, Json};

    const CLASSES: &str = r#"{"secrets":["hush"],"machines":{},"classes":{
        "Root":{"things":"table of class Thing by tuple of text, text, kind thing","maps":"map of text to map of text to phase of class P",
            "any":"any Plugin","choice":"class Choice or null","list":"list of class Thing","kept":"class P","data":"phase of class Q"},
        "Thing":{"phase":"phase of class P"},
        "Choice":{"Left":"class Choice::Left","Of":"class Thing"},"Choice::Left":{"inner":"phase of class P"},
        "P":{"A":["B"],"B":[]},
        "Q":{"One":{"type":"class Q::One","next":["Two"]},"Two":{"type":"class Thing","next":[]}},"Q::One":{"inside":"phase of class P"}}}"#;

    const DOCUMENT: &str = r#"{"state":{"_class":"Root","things":{"a/b":{"_class":"Thing","phase":"A"}},"maps":{"x":{"y":"B"},"hush":{"y":"A"}},
        "any":{"_class":"Thing","phase":"A"},"choice":{"_class":"Left","inner":"A"},"list":[{"_class":"Thing","phase":"A"}],"kept":"A",
        "data":{"_class":"One","inside":"B"}},"timers":{}}"#;

    fn tracker() -> Tracker {
        let shape = Shape::of(&Classes::parse(CLASSES).unwrap(), true).unwrap();
        Tracker::new(shape, 0, &Json::parse(DOCUMENT).unwrap().into())
    }

    /// All phases that something is in.
    fn shown(tracker: &Tracker) -> Vec<String> {
        let name = |Within { of, phase }| tracker.shape.phases(of).nth(phase).unwrap_or("?").to_owned();
        tracker.present.iter().map(|(path, present)| format!("{path} {}", name(present.within))).collect()
    }

    /// How many were left, and how many entered.
    fn moves(tracker: &mut Tracker, patch: &str) -> [usize; 2] {
        let version = tracker.version + 1;
        let record = Record::read(version, &format!(r#"{{"time":1,"cause":"Edit","patch":[{patch}]}}"#)).unwrap();
        let mut moves = [0; 2];
        tracker.record(&record, &mut |moved| moves[usize::from(matches!(moved, Move::Entered(_)))] += 1);
        moves
    }

    #[test]
    fn phases_are_found_wherever_a_name_leads_to_them() {
        let expected = [
            "/state/any/phase A",
            "/state/choice/inner A",
            "/state/data One",
            "/state/data/inside B",
            "/state/maps/x/y B",
            "/state/things/a~1b/phase A",
        ];
        assert_eq!(shown(&tracker()), expected);
        let shape = Shape::of(&Classes::parse(CLASSES).unwrap(), false).unwrap();
        let all = shown(&Tracker::new(shape, 0, &Json::parse(DOCUMENT).unwrap().into()));
        assert_eq!((all.len(), &*all[4]), (expected.len() + 1, "/state/maps/hush/y A"));
    }

    #[test]
    fn each_change_moves_what_stands_at_its_path_and_below() {
        let mut tracker = tracker();
        let mut moves = |patch: &str| moves(&mut tracker, patch);
        assert_eq!(moves(r#"{"op":"replace","path":"/state/things/a~1b/phase","value":"B"}"#), [1, 1]);
        // What has the same phase as before has stayed in it.
        assert_eq!(
            moves(r#"{"op":"replace","path":"/state/things/a~1b","value":{"_class":"Thing","phase":"B"}}"#),
            [0, 0]
        );
        assert_eq!(moves(r#"{"op":"add","path":"/state/things/c","value":{"_class":"Thing","phase":"A"}}"#), [0, 1]);
        assert_eq!(moves(r#"{"op":"replace","path":"/state/any/phase","value":"B"}"#), [1, 1]);
        assert_eq!(moves(r#"{"op":"replace","path":"/state/choice/inner","value":"B"}"#), [1, 1]);
        assert_eq!(moves(r#"{"op":"replace","path":"/state/choice","value":{"_class":"Thing","phase":"B"}}"#), [1, 1]);
        assert_eq!(moves(r#"{"op":"replace","path":"/state/choice/phase","value":"A"}"#), [1, 1]);
        assert_eq!(moves(r#"{"op":"remove","path":"/state/maps/x"}"#), [1, 0]);
        assert_eq!(moves(r#"{"op":"add","path":"/state/maps/z","value":{"1":"A","2":"B"}}"#), [0, 2]);
        assert_eq!(moves(r#"{"op":"replace","path":"/state/data/inside","value":"A"}"#), [1, 1]);
        assert_eq!(moves(r#"{"op":"replace","path":"/state/data","value":{"_class":"Thing","phase":"A"}}"#), [2, 2]);
        // What is hidden isn't looked into when it changes, either.
        assert_eq!(moves(r#"{"op":"replace","path":"/state/maps/hush/y","value":"B"}"#), [0, 0]);
        // Neither what is kept, nor what has no name that stays, nor what stands beside the state.
        assert_eq!(moves(r#"{"op":"replace","path":"/state/kept","value":"B"}"#), [0, 0]);
        assert_eq!(moves(r#"{"op":"replace","path":"/state/list/0/phase","value":"B"}"#), [0, 0]);
        assert_eq!(moves(r#"{"op":"add","path":"/timers/any","value":{"_class":"Thing","phase":"A"}}"#), [0, 0]);
        assert_eq!(moves(&format!(r#"{{"op":"replace","path":"","value":{DOCUMENT}}}"#)), [8, 6]);
    }

    #[test]
    fn a_field_of_a_variant_is_that_of_the_variant_that_is_there() {
        let classes = r#"{"secrets":[],"machines":{},"classes":{
            "Root":{"method":"class Method"},
            "Method":{"Note":"class Method::Note","Card":"class Method::Card","Transfer":"class Method::Transfer"},
            "Method::Note":{"phase":"text"},"Method::Card":{"phase":"phase of class CardPhase"},
            "Method::Transfer":{"phase":"phase of class TransferPhase"},
            "CardPhase":{"New":[]},"TransferPhase":{"Made":["Booked"],"Booked":[]}}}"#;
        let document = r#"{"state":{"_class":"Root","method":{"_class":"Transfer","phase":"Made"}}}"#;
        let shape = Shape::of(&Classes::parse(classes).unwrap(), true).unwrap();
        let mut tracker = Tracker::new(shape, 0, &Json::parse(document).unwrap().into());
        assert_eq!(moves(&mut tracker, r#"{"op":"replace","path":"/state/method/phase","value":"Booked"}"#), [1, 1]);
        assert_eq!(shown(&tracker), ["/state/method/phase Booked"]);
    }

    #[test]
    fn records_that_are_missing_are_noticed() {
        let mut tracker = tracker();
        for (version, gap) in [(1, false), (1, false), (2, false), (4, true), (5, true)] {
            let record = Record::read(version, r#"{"time":1,"cause":"Edit","patch":[]}"#).unwrap();
            tracker.record(&record, &mut |_| {});
            assert_eq!(tracker.gap, gap, "{version}");
        }
    }

    #[test]
    fn no_description_of_classes_makes_it_panic() {
        let deep = format!("{}phase of class P", "map of a to ".repeat(100_000));
        for ty in [
            &*deep,
            "table of class ",
            &*format!("table of class {}", " ".repeat(1 << 20)),
            "table of class é, kind",
            "map of ",
            "phase of class ",
            "class Root",
            " or null",
        ] {
            let classes =
                Json::Object(vec![("any".into(), Json::text(ty)), ("sure".into(), Json::text("phase of class P"))]);
            let text = format!(r#"{{"secrets":[],"machines":{{}},"classes":{{"Root":{classes},"P":{{"A":[]}}}}}}"#);
            let shape = Shape::of(&Classes::parse(&text).unwrap(), true).unwrap();
            let mut tracker = Tracker::new(shape, 0, &Json::parse(DOCUMENT).unwrap().into());
            moves(&mut tracker, r#"{"op":"replace","path":"/state/any/phase","value":"B"}"#);
        }
    }
}
