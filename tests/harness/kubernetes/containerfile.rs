//! Reads the final stages of a Containerfile, as far as an image can be made of them without a container engine: what
//! is copied from the build stage, and how the image is run. Anything else in such a stage is an error: the tests' images
//! must not differ from those that people build.

use anyhow::{Context, Result, bail, ensure};

/// A stage that begins with nothing: `FROM scratch AS name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stage {
    /// Its target.
    pub(crate) name: String,
    /// Directory of the build stage that becomes its root.
    pub(crate) root: String,
    /// `NAME=value`.
    pub(crate) variables: Vec<String>,
    /// User and group, by number.
    pub(crate) user: String,
    /// What runs, in the form of a list.
    pub(crate) entrypoint: Vec<String>,
}

/// All stages that begin with nothing, in their order.
///
/// # Errors
/// One of them has what is not understood, or lacks what an image needs.
pub(crate) fn final_stages(text: &str) -> Result<Vec<Stage>> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut is_final = false;
    for line in instructions(text) {
        let (instruction, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let rest = rest.trim();
        if instruction == "FROM" {
            let name = rest.strip_prefix("scratch AS ");
            is_final = name.is_some();
            stages.extend(name.map(|name| Stage { name: name.to_owned(), ..Stage::default() }));
            continue;
        }
        let Some(stage) = stages.last_mut().filter(|_| is_final) else { continue };
        read(stage, instruction, rest).with_context(|| format!("{}: {line}", stage.name))?;
    }
    for stage in &stages {
        let is_whole = [&stage.root, &stage.user].iter().all(|value| !value.is_empty());
        ensure!(
            is_whole && !stage.entrypoint.is_empty(),
            "{} lacks something: {stage:?}",
            stage.name
        );
    }
    Ok(stages)
}

fn read(stage: &mut Stage, instruction: &str, rest: &str) -> Result<()> {
    match instruction {
        "COPY" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let ["--from=build", root, "/"] = words[..] else {
                bail!("only `--from=build DIRECTORY /`")
            };
            ensure!(stage.root.is_empty(), "copied twice");
            root.clone_into(&mut stage.root);
        }
        "ENV" => stage.variables.push(rest.to_owned()),
        "USER" => rest.clone_into(&mut stage.user),
        "ENTRYPOINT" => stage.entrypoint = serde_json::from_str(rest)?,
        _ => bail!("not understood"),
    }
    Ok(())
}

/// One line each, without comments.
fn instructions(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let whole = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    whole.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
