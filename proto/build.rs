//! Compiles Weft's own `.proto` files with protox, so that no system `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "weft/identity/v1/identity.proto",
        "weft/telemetry/v1/telemetry.proto",
        "weft/config/v1/extensions.proto",
        "weft/status/v1/receipts.proto",
        "weft/trust/v1/trust.proto",
    ];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
