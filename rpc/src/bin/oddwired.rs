//! The daemon `oddwired`; everything it does is in [`oddwire_rpc::daemon`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("oddwired: the system refuses what any program needs: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = runtime.block_on(oddwire_rpc::daemon::run(std::env::args_os()));
    // What did not end within the time for stopping is not waited for any longer.
    runtime.shutdown_background();
    status
}
