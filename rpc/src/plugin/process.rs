//! A plugin's process: started with pipes to its standard input, output and error, killed and reaped whatever happens.
//!
//! It works in the daemon's directory with the daemon's environment and two variables more, in the daemon's process group,
//! as under Core Lightning. Its standard error goes to the log, line by line.

use std::io;
use std::process::Stdio;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::Plugin;
use super::host::Host;
use crate::codec::Codec;
use crate::limits::{
    MAX_PLUGIN_MESSAGE_LEN, MAX_PLUGIN_TOKENS, MAX_STDERR_LINE, PLUGIN_LAST_WORDS, READ_CHUNK,
};
use crate::log::Level;
use crate::version::VERSION;

/// Messages of one plugin that are handled in a row. Then others get their turn.
const MESSAGES_PER_TURN: usize = 100;

/// Starts the process of a registered plugin, and the task that sees it to its end.
///
/// # Errors
/// The system cannot execute the program.
pub(super) fn spawn(host: &Host, plugin: &Arc<Plugin>) -> io::Result<()> {
    let mut command = Command::new(&plugin.path);
    if host.inner.settings.is_developer {
        command.arg("--developer");
    }
    command.env("LIGHTNINGD_PLUGIN", "1").env("LIGHTNINGD_VERSION", VERSION);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn()?;
    tracing::debug!(source = "plugin-manager", "started({}) {}", child.id().unwrap_or_default(), plugin.path);
    tokio::spawn(see_to_its_end(host.clone(), Arc::clone(plugin), child));
    Ok(())
}

async fn see_to_its_end(host: Host, plugin: Arc<Plugin>, mut child: Child) {
    let writing = child.stdin.take().map(|stdin| tokio::spawn(write(Arc::clone(&plugin), stdin)));
    let mut complaining =
        child.stderr.take().map(|stderr| tokio::spawn(log_stderr(Arc::clone(&plugin), stderr)));
    if let Some(stdout) = child.stdout.take() {
        let mut listening = Box::pin(listen(&host, &plugin, stdout));
        tokio::select! {
            () = &mut listening => {}
            () = plugin.channel.closed() => {}
            // What it wrote last is still in the pipe; a child of its own may keep that open for ever.
            _ = child.wait() => drop(timeout(PLUGIN_LAST_WORDS, &mut listening).await),
        }
    }
    host.process_ended(&plugin);
    // It may be gone already.
    let _ = child.start_kill();
    if let Err(error) = child.wait().await {
        tracing::warn!(source = plugin.source, "its process cannot be waited for: {error}");
    }
    if let Some(complaining) = &mut complaining
        && timeout(PLUGIN_LAST_WORDS, &mut *complaining).await.is_err()
    {
        complaining.abort();
    }
    if let Some(writing) = writing {
        writing.abort();
    }
}

/// Reads what the plugin says until it says no more, or something that cannot be understood.
async fn listen(host: &Host, plugin: &Arc<Plugin>, mut stdout: ChildStdout) {
    let mut codec = Codec::for_messages(MAX_PLUGIN_MESSAGE_LEN, MAX_PLUGIN_TOKENS);
    let mut handled = 0;
    loop {
        loop {
            let wrong = match codec.next_request() {
                Ok(None) => break,
                Ok(Some(message)) => host.hear(plugin, message).err(),
                Err(refusal) => Some(String::from_utf8_lossy(&refusal.text).into_owned()),
            };
            if let Some(wrong) = wrong {
                host.kill(plugin, Level::Unusual, &wrong);
                return;
            }
            handled += 1;
            if handled % MESSAGES_PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        match stdout.read_buf(codec.room()).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

async fn write(plugin: Arc<Plugin>, mut stdin: ChildStdin) {
    while let Some(next) = plugin.channel.next().await {
        if let Err(error) = stdin.write_all(&next.text).await {
            // It counts as running for as long as it speaks.
            tracing::debug!(source = plugin.source, "does not read any more: {error}");
            plugin.channel.deafen(next);
            return;
        }
    }
}

/// Whole lines; a longer one than the limit in pieces.
async fn log_stderr(plugin: Arc<Plugin>, mut stderr: ChildStderr) {
    let mut buffer = BytesMut::with_capacity(READ_CHUNK);
    let say = |line: &[u8]| {
        let line = line.trim_ascii_end();
        if !line.is_empty() {
            tracing::info!(source = plugin.source, "{}", String::from_utf8_lossy(line));
        }
    };
    loop {
        let end = stderr.read_buf(&mut buffer).await;
        while let Some(newline) = memchr::memchr(b'\n', &buffer) {
            say(&buffer.split_to(newline.saturating_add(1)));
        }
        if buffer.len() >= MAX_STDERR_LINE {
            say(&buffer.split());
        }
        if !matches!(end, Ok(1..)) {
            say(&buffer);
            return;
        }
    }
}
