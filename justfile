# Short names for the commands of README.md and `.ci/`: https://just.systems

# List the recipes.
default:
    @just --list

# Everything that has to be green before a change is offered.
check:
    .ci/run

# The same at length.
long-check:
    AMIKO_CI=long .ci/run

# The test command of the README.
test:
    cargo test --workspace

# The documentation of the library, in a browser.
docs:
    cargo doc --open -p amiko-core --no-deps

# The book, with every listing run and every link checked; it is in target/book.
book:
    .ci/book

# The command of each claim of the README's table, compared with what docs/comparison.md says.
claims:
    .ci/claims

# The benches of our own code.
bench:
    cargo bench -p amiko-benches

# Everything beside its peers, some 25 minutes; writes BENCHMARKS.md.
bench-peers:
    cargo run --release --manifest-path benches/peers/Cargo.toml

# Effects beside durable execution, some fifteen minutes; writes its part of BENCHMARKS.md.
bench-workflows:
    cargo run --release --manifest-path benches/workflows/Cargo.toml

# Crash tests, simulated worlds, and whether the tests notice each deliberate fault.
sabotage:
    .ci/sabotage

# Build and check the packages that are published.
package:
    .ci/package

# 50,000 disks after power cuts, and more; AMIKO_CRASH_IMAGES=N for more.
long-crash:
    cargo test --release -p amiko-core --features sim --test crash -- --nocapture

# 1,700 worlds, some four million events; AMIKO_SEEDS=N for more, AMIKO_SEED=N for one.
long-world:
    cargo test --release -p amiko-examples --test world -- --nocapture

# One payment in every order of events, with one fault.
long-model:
    AMIKO_MODEL_FAULTS=1 cargo test --release -p amiko-examples --test model -- --nocapture

# Every place against every promise, with any events.
long-places:
    AMIKO_CASES=10000 cargo test --release -p amiko-core --test places -- --nocapture

# Real processes, killed 2,000 times.
long-kills:
    AMIKO_KILLS=2000 cargo test -p amiko-core --test processes

# 2,000 payments over a wire that fails in every way.
long-wire:
    AMIKO_PAYMENTS=2000 cargo test -p amiko-examples --test faults -- --nocapture

# A minute of strangers that dial while payments go on.
long-flood:
    AMIKO_FLOOD=60 cargo test -p amiko-examples --test logs flood -- --nocapture

# A million records, walked by `amiko` within 60 MB of addresses.
long-walk:
    AMIKO_RECORDS=1000000 cargo test --release -p amiko-cli --test commands -- --nocapture any_number
