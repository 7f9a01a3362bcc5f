//! What `--check` says: wanted rules against those that are there. Pure; both kinds of rules are compared as lists of
//! (place, rule), both written down by the tool that holds them.

/// What is missing, what should not be there, and what stands in another order. Empty if all is as wanted.
pub(super) fn difference(wanted: &[(String, String)], found: &[(String, String)]) -> Vec<String> {
    let mut findings: Vec<String> = without(wanted, found)
        .into_iter()
        .map(|(place, rule)| format!("missing in {place}: {rule}"))
        .collect();
    let extra = without(found, wanted).into_iter();
    findings.extend(extra.map(|(place, rule)| format!("not ours in {place}: {rule}")));
    if findings.is_empty() && wanted != found {
        let moved = wanted.iter().zip(found).find(|(wanted, found)| wanted != found);
        let (place, rule) = moved.map_or(("", ""), |((place, rule), _)| (place, rule));
        findings.push(format!("out of order in {place}: {rule}"));
    }
    findings
}

/// Those of `all` that `others` has not, or has less often.
fn without<'a>(
    all: &'a [(String, String)],
    others: &[(String, String)],
) -> Vec<&'a (String, String)> {
    let mut others: Vec<_> = others.iter().collect();
    let mut left = Vec::new();
    for one in all {
        match others.iter().position(|other| *other == one) {
            Some(place) => {
                others.swap_remove(place);
            }
            None => left.push(one),
        }
    }
    left
}

/// (place, rule) of an nft listing: `chain outbound`, and its lines.
pub(super) fn nft_lines(listing: &str) -> Vec<(String, String)> {
    let mut place = "the table".to_owned();
    let mut lines = Vec::new();
    for line in listing.lines().map(str::trim) {
        match line.strip_suffix(" {") {
            Some(head) if head.starts_with("table ") => {}
            Some(head) => head.clone_into(&mut place),
            None if line.is_empty() || line == "}" || line == "flags dormant" => {}
            None => lines.push((place.clone(), line.to_owned())),
        }
    }
    lines
}

#[cfg(test)]
mod tests;
