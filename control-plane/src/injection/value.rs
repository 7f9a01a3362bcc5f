//! The grammar of annotations' values, the same as that of the sidecar's flags which they become.
//!
//! Called by `annotations`. Each function returns the value in the one form that is passed on, or what is wrong with it.

use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Bound: entries of one list.
const MOST: usize = 256;
/// With less the sidecar does not start.
const LEAST_MEMORY: u128 = 16 << 20;

/// `25,3306,5000-5010`.
pub(super) fn ports(text: &str) -> Result<String, String> {
    list(text, |entry| {
        let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
        let (first, last) = (port(first, entry)?, port(last, entry)?);
        match first.cmp(&last) {
            std::cmp::Ordering::Less => Ok(format!("{first}-{last}")),
            std::cmp::Ordering::Equal => Ok(first.to_string()),
            std::cmp::Ordering::Greater => Err(format!("{entry:?} runs backwards")),
        }
    })
}

fn port(text: &str, entry: &str) -> Result<u16, String> {
    let digits = text.trim();
    // `parse` alone would take `+80`.
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
    match number.flatten() {
        None | Some(0) => {
            Err(format!("{entry:?} is neither a port (1 to 65535) nor a range of ports"))
        }
        Some(port) => Ok(port),
    }
}

/// `10.0.0.0/8,fd00::/8`.
pub(super) fn cidrs(text: &str) -> Result<String, String> {
    list(text, |entry| {
        let wrong = || format!("{entry:?} is no network");
        let (address, prefix) = entry.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u32 = digits.then(|| prefix.parse().ok()).flatten().ok_or_else(wrong)?;
        let (bits, width) = match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        };
        if prefix > width {
            return Err(wrong());
        }
        if bits.checked_shl(prefix).unwrap_or(0) != 0 {
            return Err(format!(
                "{entry:?} has bits beyond its prefix, so it is not known which network is meant"
            ));
        }
        Ok(format!("{address}/{prefix}"))
    })
}

/// Comma-separated; the empty text is the empty list.
fn list(text: &str, read: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let entries: Vec<&str> = text.split(',').map(str::trim).collect();
    if entries.len() > MOST {
        return Err(format!("{} entries, at most {MOST}", entries.len()));
    }
    if entries.contains(&"") {
        return Err("an empty entry: a comma too many".to_owned());
    }
    let entries: Result<Vec<_>, _> = entries.into_iter().map(read).collect();
    Ok(entries?.join(","))
}

/// A part of a processor, over 0.
pub(super) fn cpu(text: &str) -> Result<Quantity, String> {
    match milli(text) {
        Some(0) => Err(format!("{text:?} is nothing")),
        Some(_) => Ok(Quantity(text.trim().to_owned())),
        None => Err(format!("{text:?} is no amount of CPU")),
    }
}

/// An amount of memory, enough for the sidecar to start.
pub(super) fn memory(text: &str) -> Result<Quantity, String> {
    match milli(text) {
        Some(amount) if amount < LEAST_MEMORY * 1000 => {
            Err(format!("{text:?} is under 16Mi, with which the sidecar does not start"))
        }
        Some(_) => Ok(Quantity(text.trim().to_owned())),
        None => Err(format!("{text:?} is no amount of memory")),
    }
}

/// Thousandths of what a quantity says, rounded down; `None` if it is none, is negative, or is beyond all bounds.
pub(super) fn milli(text: &str) -> Option<u128> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Bound: 18 digits on either side and a factor below 2^63 fit 128 bits.
    let good =
        |digits: &str| digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !good(whole) || !good(fraction) {
        return None;
    }
    let factor: u128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = digits(whole)?.checked_mul(factor)?;
    let fraction = digits(fraction)?.checked_mul(factor)? / scale;
    whole.checked_add(fraction)
}

/// Milliseconds of `5s`, `500ms`, `1m`; at most a day.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err(format!("{text:?} is no duration")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no duration"))?;
    match number.checked_mul(factor) {
        Some(millis) if millis <= 86_400_000 => Ok(millis),
        _ => Err(format!("{text:?} is over a day")),
    }
}

/// The same as written, but not none at all.
pub(super) fn some_time(text: &str) -> Result<String, String> {
    match duration(text)? {
        0 => Err(format!("{text:?} is no time at all")),
        _ => Ok(text.trim().to_owned()),
    }
}

/// A number from 0 to `most`.
pub(super) fn count(text: &str, most: u32) -> Result<u32, String> {
    let digits = text.trim();
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
    let number = number.flatten().filter(|number| *number <= most);
    number.ok_or_else(|| format!("{text:?} is no number from 0 to {most}"))
}

/// One of `words`.
pub(super) fn word(text: &str, words: &[&str]) -> Result<String, String> {
    match words.contains(&text.trim()) {
        true => Ok(text.trim().to_owned()),
        false => Err(format!("{text:?} is none of {}", words.join(", "))),
    }
}

/// What to log: a level, or a filter by module.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let filter = text.trim();
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    // A filter that is one word names a module: `wran` would log nothing, and nobody would know why.
    if !filter.contains(['=', ',']) && !levels.contains(&filter) {
        return Err(format!("{text:?} is no level"));
    }
    match filter.parse::<tracing_subscriber::filter::Targets>() {
        Ok(_) => Ok(filter.to_owned()),
        Err(error) => Err(format!("{text:?} is no filter: {error}")),
    }
}
