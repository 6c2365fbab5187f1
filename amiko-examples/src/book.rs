//! The listings of the book in `docs/`, as tests.

#[doc = include_str!("../../docs/testing.md")]
struct Testing;

#[doc = include_str!("../../docs/first-node.md")]
struct FirstNode;

#[doc = include_str!("../../docs/messages.md")]
struct Messages;

#[doc = include_str!("../../docs/serving.md")]
struct Serving;

#[doc = include_str!("../../docs/evolution.md")]
struct Evolution;

#[doc = include_str!("../../docs/timers.md")]
struct Timers;

#[doc = include_str!("../../docs/phases.md")]
struct Phases;

#[doc = include_str!("../../docs/effects.md")]
struct Effects;

#[doc = include_str!("../../docs/coming-from/actors.md")]
struct ComingFromActors;

#[doc = include_str!("../../docs/coming-from/sqlite.md")]
struct ComingFromSqlite;

#[doc = include_str!("../../docs/coming-from/workflows.md")]
struct ComingFromWorkflows;

#[doc = include_str!("../../docs/coming-from/xstate.md")]
struct ComingFromXstate;

#[doc = include_str!("../../docs/looking-inside.md")]
struct LookingInside;
