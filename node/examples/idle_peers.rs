//! How much memory an idle peer costs: connects many peers over loopback, lets each exchange a message of the largest size,
//! and prints what the process has grown by. Both ends of each connection are in this process and cost the same.
//!
//! `cargo run --release -p oddwire-node --example idle_peers -- 1000`

use std::error::Error;
use std::net::SocketAddr;
use std::time::Instant;

use oddwire_node::{Delivery, Event, EventFilter, Identity, MessageType, Node, Secret};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(1_000), |count| count.parse())?;
    let hub = start(0).await?;
    let mut messages = hub.subscribe(EventFilter::messages());
    // Small nodes first, so that what is measured is their connections.
    let mut nodes = Vec::new();
    for number in 1..=count {
        nodes.push(start(number).await?);
    }
    let before = resident_kib()?;
    let started = Instant::now();
    for node in &nodes {
        node.connect(hub.id(), hub.listening().first().copied().ok_or("not listening")?).await?;
    }
    let connecting = started.elapsed();
    let fresh = resident_kib()?;
    let largest = vec![7; 65_533];
    for node in &nodes {
        node.send_custom_message(&hub.id(), MessageType::new(32_769), &largest)?;
        while !matches!(messages.next().await, Some(Delivery::Event(Event::CustomMessage { .. })) | None) {}
        hub.send_custom_message(&node.id(), MessageType::new(32_769), &largest)?;
    }
    // Nobody tells when the last task has put its buffers away; what is measured is the memory of idle peers.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let used = resident_kib()?;
    let ends = f64::from(count) * 2.0;
    println!("{count} connections in {connecting:.2?}; resident before: {before} KiB");
    println!(
        "after connecting:        {fresh} KiB, {:.2} KiB for each end",
        f64::from(fresh - before) / ends
    );
    println!("after 64 KiB each way:   {used} KiB, {:.2} KiB for each end", f64::from(used - before) / ends);
    Ok(())
}

async fn start(number: u32) -> Result<Node, Box<dyn Error>> {
    let mut secret = [1; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    let builder = Node::builder().identity(Identity::from_secret(&Secret::new(secret))?);
    let builder = if number == 0 { builder.listen(SocketAddr::from(([127, 0, 0, 1], 0))) } else { builder };
    Ok(builder.start().await?)
}

/// The process' resident memory.
fn resident_kib() -> Result<u32, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
