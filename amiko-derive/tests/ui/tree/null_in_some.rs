use amiko_core::prelude::*;

#[derive(Serializable)]
struct Account {
    limit: Option<Option<u64>>,
    lists: Vec<(u64, std::option::Option<core::option::Option<u64>>)>,
    map: Map<String, [Option<Box<Option<u64>>>; 2]>,
    seen: Option<()>,
    pin: Option<Secret<Option<u64>>>,
    deep: Option<Vec<Option<Option<u64>>>>,
}

#[derive(Serializable)]
enum Order {
    Limit(Option<Option<u64>>),
    Seen { when: Option<()> },
}

macro_rules! class {
    ($ty:ty) => {
        #[derive(Serializable)]
        struct Made {
            value: Option<$ty>,
        }
    };
}
class!(Option<u64>);

fn main() {}
