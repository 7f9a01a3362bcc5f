//! The program `weft-control-plane`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    weft_control_plane::main(weft_control_plane::config::process_arguments())
}
