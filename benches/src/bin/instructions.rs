//! The program whose instructions are counted: see `amiko_benches::instructions`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    amiko_benches::instructions::run(&arguments);
}
