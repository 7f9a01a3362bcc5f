//! `weft inject` and `weft uninject`: injection as a text filter.
//!
//! What is done to a document is the control plane's own `injection`; nothing is decided here. `text` reads and writes.
//! Everything is done before anything is written: what is piped into `kubectl apply` is all or nothing.

pub(crate) mod text;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weft_control_plane::injection::{
    Change, Injector, Report, Settings, inject_document, uninject_document,
};

use self::text::{Form, Text};
use crate::args::{InjectArgs, UninjectArgs};
use crate::output::{BAD, Output, Verdict, WARN, styled};

/// Bound: bytes of one input.
const MAX_INPUT: u64 = 64 << 20;

/// Runs `weft inject`.
pub(crate) fn inject(args: &InjectArgs, output: &Output) -> Result<Verdict> {
    let mut settings = Settings::from_registry(&args.registry, Injector::CommandLine);
    if let Some(image) = &args.proxy_image {
        settings.proxy_image.clone_from(image);
    }
    if let Some(image) = &args.init_image {
        settings.init_image.clone_from(image);
    }
    filter(&args.files, output, |document| inject_document(document, &settings))
}

/// Runs `weft uninject`.
pub(crate) fn uninject(args: &UninjectArgs, output: &Output) -> Result<Verdict> {
    filter(&args.files, output, uninject_document)
}

fn filter(
    files: &[PathBuf],
    output: &Output,
    change: impl Fn(Value) -> (Value, Vec<Report>),
) -> Result<Verdict> {
    let mut form = None;
    let (mut documents, mut reports) = (Vec::new(), Vec::new());
    for file in files {
        let Text { form: read, documents: before } =
            text::parse(&read(file)?).with_context(|| format!("cannot read {}", title(file)))?;
        // The first file decides; a second one is not worth an error.
        form.get_or_insert(read);
        for document in before {
            let (after, said) = change(document);
            documents.push(after);
            reports.extend(said);
        }
    }
    for report in &reports {
        tell(report, output);
    }
    if reports.iter().any(|report| matches!(report.change, Change::Refused(_))) {
        return Ok(Verdict::Findings);
    }
    if output.is_json() {
        output.json(&text::list(documents))?;
    } else {
        output.raw(&text::render(form.unwrap_or(Form::Yaml), &documents)?)?;
    }
    Ok(Verdict::Fine)
}

fn read(file: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = match is_stdin(file) {
        true => io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut bytes),
        false => File::open(file).and_then(|file| file.take(MAX_INPUT + 1).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("cannot read {}", title(file)))?;
    ensure!(bytes.len() as u64 <= MAX_INPUT, "{} is larger than 64 MiB", title(file));
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", title(file)))
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn title(file: &Path) -> String {
    if is_stdin(file) { "stdin".to_owned() } else { file.display().to_string() }
}

/// `deployment/web injected`, and what its owner should know.
fn tell(report: &Report, output: &Output) {
    let object = &report.object;
    match &report.change {
        Change::Injected => output.note(&format!("{object} injected")),
        Change::Uninjected => output.note(&format!("{object} uninjected")),
        Change::NotInjected => output.note(&format!("{object} has no sidecar")),
        Change::Skipped(skip) => output.note(&format!("{object} skipped: {skip}")),
        Change::NoPods => {}
        Change::Refused(why) => output.error(&format!("{} {why}", styled(BAD, object))),
    }
    for warning in &report.warnings {
        output.note(&format!("{} {object} {warning}", styled(WARN, "warning:")));
    }
}
