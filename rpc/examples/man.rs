//! Writes the manual pages into a directory: `cargo run --example man -- DIRECTORY`, or `cargo xtask man`.
//!
//! Everything in them is said once, where the programs have it: the options in what `clap` knows of them, the methods in their
//! own descriptions. Here is only the form of a page.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use oddwire_rpc::cli;
use oddwire_rpc::config::Options;
use oddwire_rpc::method::{METHODS, Method};

const MANUAL: &str = "Oddwire";

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("name the directory to write to")?;
    let directory = PathBuf::from(directory);
    fs::create_dir_all(&directory)?;
    for (name, page) in pages()? {
        fs::write(directory.join(&name), page)?;
        println!("{}", Path::new(&directory).join(name).display());
    }
    Ok(())
}

/// Every page with its file's name.
fn pages() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut pages = vec![
        ("oddwired.8".to_owned(), program(Options::command(), "8")?),
        ("oddwire-cli.1".to_owned(), program(cli::command(), "1")?),
        ("oddwired-config.5".to_owned(), configuration()),
    ];
    pages.extend(METHODS.iter().map(|method| (format!("oddwire-{}.7", method.name), about(method))));
    Ok(pages)
}

fn program(command: Command, section: &str) -> Result<String, Box<dyn Error>> {
    let man = Man::new(command).section(section).manual(MANUAL).source(MANUAL);
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(String::from_utf8(page)?)
}

/// The page of one method, as `oddwire-cli help METHOD` shows it.
fn about(method: &Method) -> String {
    let mut page = titled(&format!("oddwire-{}", method.name), "7", method.summary);
    page.control("SH", ["SYNOPSIS"]);
    let params: Vec<String> = method.params.iter().map(ToString::to_string).collect();
    page.text([bold(method.name), roman(" "), italic(params.join(" "))]);
    page.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut page, method.page);
    if !method.params.is_empty() {
        page.control("SH", ["PARAMETERS"]);
        for param in method.params {
            page.control("TP", []);
            page.text([bold(param.to_string()), roman(format!(" ({})", param.kind))]);
            page.text([roman(param.about)]);
        }
    }
    for example in method.examples {
        page.control("SH", ["EXAMPLE"]);
        page.text([roman(format!("{}:", example.about))]);
        page.control("PP", []);
        page.text([roman(format!("params {}", example.params))]);
        page.control("PP", []);
        page.text([roman(format!("result {}", example.result))]);
    }
    see_also(&mut page);
    page.render()
}

fn configuration() -> String {
    let mut page = titled("oddwired-config", "5", "configuration files of oddwired");
    page.control("SH", ["DESCRIPTION"]);
    paragraphs(
        &mut page,
        "Without --conf, oddwired reads the file `config` in the lightning directory and then the one in the network's \
         directory; with it, only that one. Of two settings the later one counts, and the command line comes last.\n\n\
         Each line is an option of oddwired(8) without its dashes: NAME=VALUE, or NAME for an option that takes none. Nothing is \
         quoted. Empty lines and lines that begin with # are comments. `include FILE` reads another file in this place; a \
         relative path starts in the directory of the file that includes it.\n\n\
         Options of plugins stand here too. An option that neither the daemon nor a plugin has is an error, with file and line. \
         `conf` cannot be set in a file, `lightning-dir` only in that of --conf, and the network not in a network's own file.",
    );
    page.control("SH", ["OPTIONS"]);
    let mut command = Options::command();
    command.build();
    for option in command.get_arguments() {
        let Some(name) = option.get_long().filter(|name| !["help", "version", "conf"].contains(name)) else {
            continue;
        };
        let value = option.get_value_names().filter(|_| option.get_action().takes_values());
        let value = value.and_then(<[_]>::first).map(|value| format!("={value}")).unwrap_or_default();
        page.control("TP", []);
        page.text([bold(name), italic(value)]);
        page.text([roman(option.get_help().map(ToString::to_string).unwrap_or_default())]);
    }
    see_also(&mut page);
    page.render()
}

fn titled(name: &str, section: &str, summary: &str) -> Roff {
    let mut page = Roff::new();
    page.control("TH", [name, section, "", MANUAL, MANUAL]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {summary}"))]);
    page
}

fn paragraphs(page: &mut Roff, text: &str) {
    for paragraph in text.split("\n\n") {
        page.control("PP", []);
        page.text([roman(paragraph)]);
    }
}

fn see_also(page: &mut Roff) {
    page.control("SH", ["SEE ALSO"]);
    page.text([roman("oddwired(8), oddwire-cli(1), oddwired-config(5)")]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_every_option_has_its_place_in_a_page() {
        let pages = pages().unwrap();
        let plain = |name: &str| {
            let page = pages.iter().find(|(page, _)| page == name).map(|(_, text)| text.clone()).unwrap();
            page.replace(r"\*(Aq", "'").replace('\\', "")
        };
        for method in METHODS {
            let page = plain(&format!("oddwire-{}.7", method.name));
            assert!(page.contains(method.summary), "{page}");
            for param in method.params {
                assert!(page.contains(&param.about.replace('\\', "")), "{}: {page}", param.name);
            }
        }
        let (program, file) = (plain("oddwired.8"), plain("oddwired-config.5"));
        for option in Options::command().get_arguments() {
            let name = option.get_long().unwrap();
            assert!(program.contains(&format!("--{name}")), "{name}");
            assert!(["conf", "version"].contains(&name) || file.contains(&format!("fB{name}fR")), "{name}");
        }
        assert!(plain("oddwire-cli.1").contains("--notifications"));
    }
}
