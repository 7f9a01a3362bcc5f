//! `weft-proxy`; everything is in the library.

fn main() -> std::process::ExitCode {
    weft_proxy::main_with_args(std::env::args_os().collect())
}
