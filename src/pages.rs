//! Pages that are made from the program itself: its commands, and the problems it answers with.

use std::fmt::Write as _;

use clap::{Arg, Command as Clap};

/// The man page of the whole program.
///
/// # Errors
/// None that can happen: it is written into memory.
pub(crate) fn man(command: Clap) -> std::io::Result<String> {
    let mut page = Vec::new();
    // The version and the day it was built would make it differ from itself.
    clap_mangen::Man::new(command).date("").render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The text of `docs/cli.md`.
pub(crate) fn cli(mut command: Clap) -> String {
    command.build();
    let mut page = String::from(
        "# Commands\n\n\
         Written by `holdfast cli-page` from the definition of the command line; a test compares. Data goes to stdout, everything else to\n\
         stderr. Exit codes: 0 done, 1 not done, 2 the command or the configuration is wrong, 3 a check found something.\n\
         Every setting can also be given in the environment, as `HOLDFAST_` and its name in capitals.\n\n## Flags of every command\n\n",
    );
    let common: Vec<&Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).collect();
    flags(&mut page, common.into_iter());
    for sub in command.get_subcommands() {
        section(&mut page, "holdfast", sub);
    }
    page
}

fn section(page: &mut String, above: &str, command: &Clap) {
    if command.is_hide_set() {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    let subs: Vec<&Clap> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).collect();
    if subs.is_empty() {
        let about =
            command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
        let shown = |arg: &&Arg| {
            !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help" && arg.get_id() != "version"
        };
        let own: Vec<&Arg> = command.get_arguments().filter(shown).collect();
        let places: Vec<String> = own.iter().filter(|arg| arg.is_positional()).map(|arg| place(arg)).collect();
        // Writing to text cannot fail.
        let _ = write!(page, "\n## `{}`\n\n{about}.\n", [vec![name.clone()], places].concat().join(" "));
        if !own.is_empty() {
            page.push('\n');
            flags(page, own.into_iter());
        }
    }
    for sub in subs {
        section(page, &name, sub);
    }
}

/// A value without a flag, as it stands in the usage.
fn place(arg: &Arg) -> String {
    let name =
        arg.get_value_names().and_then(<[_]>::first).map_or_else(|| arg.get_id().to_string(), ToString::to_string);
    if arg.is_required_set() { name.to_uppercase() } else { format!("[{}]", name.to_uppercase()) }
}

fn flags<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    page.push_str("| flag | meaning |\n|---|---|\n");
    for arg in args.filter(|arg| !arg.is_hide_set()) {
        let takes = arg.get_action().takes_values();
        let value = takes.then(|| place(arg).trim_matches(['[', ']']).to_owned());
        let long = arg.get_long().map(|long| format!("--{long}"));
        let name = [long, value].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let words: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        if takes && !words.is_empty() {
            let _ = write!(text, " ({})", words.join(", "));
        }
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if takes && !defaults.iter().all(|value| value.is_empty()) {
            let _ = write!(text, " [default: {}]", defaults.join(","));
        }
        let _ = writeln!(page, "| `{name}` | {} |", text.replace('|', "\\|"));
    }
}
