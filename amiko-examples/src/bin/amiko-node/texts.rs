//! What is generated of the command line itself: completions for shells, and manual pages.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::screen;
use amiko_core::serializable::Json;
use clap::CommandFactory;
use clap_complete::Shell;

/// What our users type.
const NAME: &str = "amiko-node";

/// Prints what a shell reads to complete commands.
pub(crate) fn completions(shell: Shell, json: bool) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut text);
    say(text, json)
}

/// Prints the manual page of the program, or of one of its commands.
pub(crate) fn manual(command: &[String], json: bool) -> Result<(), Failure> {
    let mut page = Arguments::command();
    page.build();
    for name in command {
        let found = page.find_subcommand(name).cloned();
        page = found.ok_or_else(|| {
            let known: Vec<&str> = page.get_subcommands().map(clap::Command::get_name).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            Failure::Usage(format!("expected one of the commands {known}, found {:?}", screen::plain(name)))
        })?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(Failure::system)?;
    say(text, json)
}

fn say(text: Vec<u8>, json: bool) -> Result<(), Failure> {
    let text = String::from_utf8(text).map_err(Failure::refused)?;
    if json {
        screen::print(Json::Object(vec![("text".into(), Json::String(text))]));
    } else {
        screen::say(text.trim_end());
    }
    Ok(())
}
