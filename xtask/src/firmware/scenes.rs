//! What the device goes through: the real daemon first, then peers that misbehave, and the daemon again.

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use super::host::{Host, Rpc};
use super::line::Call;
use super::machine::Machine;
use super::peer::{EPHEMERAL, Wire};
use super::secrets;
use crate::patience::Patience;

// What the device understands: `wire-core/firmware/src/bin/device/main.rs`.
const ECHO: u16 = 0x8001;
const ECHOED: u16 = 0x8003;
const READINGS: u16 = 0x8005;
const READING: u16 = 0x8007;
const HANG_UP: u16 = 0x8009;
const STOP: u16 = 0x800b;

/// More than two times 500, after which a key is replaced, with what else is said.
const ECHOES_PAST_TWO_ROTATIONS: u16 = 1_100;
/// Pings of the flood; far more than the device keeps answers for.
const FLOOD: u16 = 500;
/// The base point of the curve: a point that is nobody's key here.
const SOME_POINT: [u8; 33] = [
    0x02, 0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07,
    0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98,
];

/// The device dials the daemon: everything that an honest pair does.
pub(super) fn honest(machine: &Machine, host: &mut Host) -> Result<()> {
    println!("  the device dials oddwired");
    let (mut rpc, mut inbox) = (host.rpc()?, host.rpc()?);
    inbox.call("subscribecustommsg", &json!({}))?;
    let call = machine.line.serve(Call::Dialed, host.connect()?);
    machine.hear("authenticated")?;
    machine.hear("open")?;
    let device = device_id(&mut rpc)?;

    let pong = rpc.call("ping", &json!([device, 10, 700]))?;
    ensure!(pong["totlen"] == 704, "the pong: {pong}");

    send(&mut rpc, &device, READINGS, &[0, 3])?;
    for number in ["0002", "0001", "0000"] {
        expect_message(&mut inbox, READING, number)?;
    }

    for number in 0..ECHOES_PAST_TWO_ROTATIONS {
        let payload = number.to_be_bytes();
        send(&mut rpc, &device, ECHO, &payload)?;
        expect_message(&mut inbox, ECHOED, &hex(&payload))?;
    }
    println!(
        "    {ECHOES_PAST_TWO_ROTATIONS} messages each way: both directions are past their second rotation"
    );

    send(&mut rpc, &device, ECHO, &[0xee; 1_022])?;
    expect_message(&mut inbox, ECHOED, &hex(&[0xee; 1_022]))?;
    send(&mut rpc, &device, ECHO, &[0xee; 1_023])?;
    machine.hear("too long: type 32769, 1025 bytes")?;
    echo(&mut rpc, &mut inbox, &device)?;

    send(&mut rpc, &device, HANG_UP, &[])?;
    machine.hear("closed: LocalDisconnect")?;
    call.join().map_err(|_| anyhow!("the line broke"))?
}

/// The daemon dials the device.
pub(super) fn called(machine: &Machine, host: &mut Host) -> Result<()> {
    println!("  oddwired calls the device");
    let (mut rpc, mut inbox) = (host.rpc()?, host.rpc()?);
    inbox.call("subscribecustommsg", &json!({}))?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let device = hex(&device_node_id()?);
    let caller =
        std::thread::spawn(move || rpc.call("connect", &json!([device, "127.0.0.1", port])).map(|_| rpc));
    let (stream, _) = listener.accept()?;
    let call = machine.line.serve(Call::Incoming, stream);
    machine.hear("authenticated")?;
    machine.hear("open")?;
    let mut rpc = caller.join().map_err(|_| anyhow!("the call broke"))??;
    let device = device_id(&mut rpc)?;
    echo(&mut rpc, &mut inbox, &device)?;
    send(&mut rpc, &device, HANG_UP, &[])?;
    machine.hear("closed: LocalDisconnect")?;
    call.join().map_err(|_| anyhow!("the line broke"))?
}

/// Acts that do not hold, from the one who was called and from the one who calls.
pub(super) fn hostile_handshakes(machine: &Machine) -> Result<()> {
    let wrong_version = [1; 50];
    let mut no_point = [0xff; 50];
    no_point[..2].copy_from_slice(&[0, 2]);
    let mut wrong_tag = [0; 50];
    wrong_tag[1..34].copy_from_slice(&SOME_POINT);

    println!("  hostile peers: act two");
    for (act, reason) in [
        (wrong_version, "ActTwoBadVersion(1)"),
        (no_point, "ActTwoBadPublicKey"),
        (wrong_tag, "ActTwoBadTag"),
    ] {
        let mut wire = Wire::open(&machine.line, Call::Dialed)?;
        wire.read::<50>()?;
        wire.write(&act)?;
        machine.hear(&format!("closed: Handshake({reason})"))?;
        wire.end()?;
    }

    println!("  hostile peers: act one");
    for (act, reason) in [
        (wrong_version, "ActOneBadVersion(1)"),
        (no_point, "ActOneBadPublicKey"),
        (wrong_tag, "ActOneBadTag"),
    ] {
        let mut wire = Wire::open(&machine.line, Call::Incoming)?;
        wire.write(&act)?;
        machine.hear(&format!("closed: Handshake({reason})"))?;
        wire.end()?;
    }

    println!("  hostile peers: act three");
    for (place, reason) in [
        (0, "ActThreeBadVersion(1)"),
        (1, "ActThreeBadCiphertext"),
        (34, "ActThreeBadCiphertext"),
        (65, "ActThreeBadTag"),
    ] {
        let mut wire = Wire::open(&machine.line, Call::Incoming)?;
        let (mut act, _) = wire.shake_up_to_act_three()?;
        act[place] ^= 1;
        wire.write(&act)?;
        machine.hear(&format!("closed: Handshake({reason})"))?;
        wire.end()?;
    }
    Ok(())
}

/// Peers that prove who they are and then misbehave.
pub(super) fn hostile_traffic(machine: &Machine) -> Result<()> {
    println!("  hostile peers: garbage after the handshake");
    let mut peer = Wire::open(&machine.line, Call::Dialed)?.shake_as_responder(|| Ok(()))?;
    machine.hear("open")?;
    peer.raw().write(&[0x5a; 100])?;
    machine.hear("closed: BadFrame(HeaderTag)")?;
    peer.end()?;

    println!("  hostile peers: a body with a wrong tag, in a message longer than the buffer");
    let mut peer = Wire::open(&machine.line, Call::Incoming)?.shake_as_initiator()?;
    machine.hear("open")?;
    let mut frame = peer.sealed(&long_message(5_000))?;
    if let Some(byte) = frame.last_mut() {
        *byte ^= 1;
    }
    peer.raw().write(&frame)?;
    machine.hear("closed: BadFrame(BodyTag)")?;
    peer.end()?;

    println!("  hostile peers: a frame that never ends");
    let mut peer = Wire::open(&machine.line, Call::Dialed)?.shake_as_responder(|| Ok(()))?;
    machine.hear("open")?;
    let frame = peer.sealed(&long_message(65_535))?;
    peer.raw().write(&frame[..30_000])?;
    machine.hear("closed: PingTimeout")?;
    peer.end()?;

    println!("  hostile peers: messages of 65535 bytes, a flood of pings, the longest pong");
    let mut peer = Wire::open(&machine.line, Call::Dialed)?.shake_as_responder(|| Ok(()))?;
    machine.hear("open")?;
    for _ in 0..3 {
        peer.send(&long_message(65_535))?;
        machine.hear("too long: type 30583, 65535 bytes")?;
    }
    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        flood.extend(peer.sealed(&[0, 18, 0, 100, 0, 0])?);
    }
    let mut writer = peer.writer()?;
    let flooding = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &flood));
    let mut pongs = 0;
    while pongs < FLOOD {
        let message = peer.receive()?;
        // The device may ask meanwhile whether we are still there.
        if message.starts_with(&[0, 18]) {
            continue;
        }
        ensure!(message.starts_with(&[0, 19, 0, 100]) && message.len() == 104, "no pong: {message:02x?}");
        pongs += 1;
    }
    flooding.join().map_err(|_| anyhow!("the flood broke"))??;
    peer.send(&[0, 18, 0xff, 0xfb, 0, 0])?;
    let pong = peer.receive()?;
    ensure!(pong.len() == 65_535 && pong.starts_with(&[0, 19, 0xff, 0xfb]), "{} bytes of pong", pong.len());
    let echo = [&ECHO.to_be_bytes()[..], b"still here"].concat();
    peer.send(&echo)?;
    let echoed = peer.receive()?;
    ensure!(echoed == [&ECHOED.to_be_bytes()[..], b"still here"].concat(), "no echo: {echoed:02x?}");

    // An even type that nobody knows: the device says why it goes.
    peer.send(&[0x80, 0x00])?;
    machine.hear("closed: UnknownEvenType")?;
    let warning = peer.receive()?;
    ensure!(warning.ends_with(b"Invalid unknown even msg 8000"), "no warning: {warning:02x?}");
    peer.end()
}

/// No secret of the handshake is left in memory after it. The search is seen to find what is there.
pub(super) fn wiped(machine: &mut Machine) -> Result<()> {
    println!("  the device's memory after a handshake");
    let ephemeral = secrets::DEVICE_EPHEMERAL;
    let secrets = secrets::of_handshake(ephemeral, EPHEMERAL)?;
    machine.set_random(Some(&ephemeral))?;
    let line = std::sync::Arc::clone(&machine.line);
    let mut during = Vec::new();
    let wire = Wire::open(&line, Call::Dialed)?;
    let mut peer = wire.shake_as_responder(|| {
        during = machine.memory()?;
        Ok(())
    })?;
    machine.hear("open")?;
    machine.set_random(None)?;
    let found = secrets::found_in(&during, &secrets);
    ensure!(found.iter().any(|found| found.starts_with("the ephemeral key")), "the search finds nothing");
    println!("    during the handshake: {}", found.join("; "));
    let found = secrets::found_in(&machine.memory()?, &secrets);
    ensure!(found.is_empty(), "left after the handshake: {}", found.join("; "));
    println!("    after it: none of {} secrets", secrets.len());
    peer.send(&HANG_UP.to_be_bytes())?;
    machine.hear("closed: LocalDisconnect")?;
    peer.end()
}

/// The daemon once more; then the device is told to stop, and does so well.
pub(super) fn last(machine: &mut Machine, host: &mut Host) -> Result<()> {
    println!("  the device dials oddwired again, and stops");
    let (mut rpc, mut inbox) = (host.rpc()?, host.rpc()?);
    inbox.call("subscribecustommsg", &json!({}))?;
    let call = machine.line.serve(Call::Dialed, host.connect()?);
    machine.hear("open")?;
    let device = device_id(&mut rpc)?;
    echo(&mut rpc, &mut inbox, &device)?;
    send(&mut rpc, &device, STOP, &[])?;
    machine.hear("closed: LocalDisconnect")?;
    call.join().map_err(|_| anyhow!("the line broke"))??;
    let status = machine.end()?;
    ensure!(status.success(), "the device ended with {status}");
    Ok(())
}

fn long_message(len: usize) -> Vec<u8> {
    let mut message = vec![0xa5; len];
    message[..2].copy_from_slice(&[0x77, 0x77]);
    message
}

fn device_node_id() -> Result<[u8; 33]> {
    let key = wire_core::secret::StaticKey::from_bytes(&wire_core::secret::Secret::new(secrets::DEVICE_KEY))?;
    Ok(*key.node_id().as_bytes())
}

/// The device as the daemon's only peer. It is there once its `init` has been judged.
fn device_id(rpc: &mut Rpc) -> Result<String> {
    let expected = hex(&device_node_id()?);
    Patience::new(super::PATIENCE).wait_for("the device as a peer of oddwired", || {
        let peers = rpc.call("listpeers", &json!([]))?;
        let peer = &peers["peers"][0];
        Ok((peer["id"] == expected.as_str() && peer["connected"] == true).then_some(()))
    })?;
    Ok(expected)
}

fn send(rpc: &mut Rpc, device: &str, kind: u16, payload: &[u8]) -> Result<()> {
    let message = format!("{kind:04x}{}", hex(payload));
    rpc.call("sendcustommsg", &json!([device, message])).map(|_| ())
}

fn expect_message(inbox: &mut Rpc, kind: u16, payload: &str) -> Result<()> {
    let message: Value = inbox.next()?;
    let expected = format!("{kind:04x}{payload}");
    ensure!(message["params"]["payload"] == expected.as_str(), "{expected} expected, not {message}");
    Ok(())
}

fn echo(rpc: &mut Rpc, inbox: &mut Rpc, device: &str) -> Result<()> {
    send(rpc, device, ECHO, b"hello")?;
    expect_message(inbox, ECHOED, &hex(b"hello"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
