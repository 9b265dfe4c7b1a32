//! The program `oddwire-cli`; everything it does is in [`oddwire_rpc::cli`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("oddwire-cli: the system refuses what any program needs: {error}");
            return ExitCode::from(2);
        }
    };
    let status = runtime.block_on(oddwire_rpc::cli::run(std::env::args_os()));
    // An output that nobody reads may still be blocked; it is not waited for.
    runtime.shutdown_background();
    status
}
