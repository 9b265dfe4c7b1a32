//! Counts instructions on the emulated board, where one instruction takes one nanosecond: both sides of a handshake, and
//! frames of three sizes, sealed and opened with keystream made on the spot and with keystream that was there before.
//!
//! Each figure is a line of the log, `measured NAME: COUNT`, which `cargo xtask firmware --report` reads.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use cortex_m_rt::entry;
use cortex_m_semihosting::debug;
use defmt_semihosting as _;
use wire_core::frame::{Ahead, Opener, Sealer};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN};
use wire_core::noise::{Initiator, Responder};
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

/// The counter runs at 25 MHz: 40 ns, so 40 instructions, a tick.
const INSTRUCTIONS_PER_TICK: u32 = 40;
/// 24 bits: 0.67 s.
const LONGEST: u32 = 0x00ff_ffff;
/// Frames per figure, which is their mean: a tick is coarse for one.
const REPEATS: u32 = 16;
/// Message lengths, in bytes.
const LENGTHS: [usize; 3] = [64, 256, 1024];

core::arch::global_asm!(include_str!("../../../vectors.s"));

#[entry]
fn main() -> ! {
    let status = match Peripherals::take().map(|core| measure(core.SYST)) {
        Some(Some(())) => debug::EXIT_SUCCESS,
        _ => debug::EXIT_FAILURE,
    };
    loop {
        debug::exit(status);
    }
}

/// `None` if anything failed.
fn measure(mut counter: SYST) -> Option<()> {
    counter.set_clock_source(SystClkSource::Core);
    counter.set_reload(LONGEST);
    counter.clear_current();
    counter.enable_counter();

    let key = |fill| StaticKey::from_bytes(&Secret::new([fill; 32])).ok();
    let (our_key, their_key) = (key(0x11)?, key(0x22)?);
    let ephemeral = |fill| EphemeralKey::from_bytes(Secret::new([fill; 32])).ok();
    // The first use of the curve makes its context; a device does that once in its life.
    let _ = ephemeral(0x33)?;

    let start = SYST::get_current();
    let initiator = Initiator::new(&our_key, their_key.node_id(), ephemeral(0x33)?);
    let (act_one, awaiting_two) = initiator.act_one();
    let first = passed(start);
    let start = SYST::get_current();
    let (act_two, awaiting_three) =
        Responder::new(&their_key, ephemeral(0x44)?).act_one(&their_key, &act_one).ok()?;
    let second = passed(start);
    let start = SYST::get_current();
    let (act_three, ours) = awaiting_two.act_two(&our_key, &act_two).ok()?;
    let third = passed(start);
    let start = SYST::get_current();
    let (_, theirs) = awaiting_three.act_three(&act_three).ok()?;
    let fourth = passed(start);
    report("handshake, initiator", first + third);
    report("handshake, responder", second + fourth);

    let ((mut sealer, _), (_, mut opener)) = (ours.split(), theirs.split());
    for len in LENGTHS {
        frames(len, &mut sealer, &mut opener)?;
    }
    Some(())
}

fn frames(len: usize, sealer: &mut Sealer, opener: &mut Opener) -> Option<()> {
    let mut room = [0x5a; 1024 + FRAME_OVERHEAD];
    let frame = room.get_mut(..len + FRAME_OVERHEAD)?;
    let (mut sending, mut receiving) = (Ahead::<1>::new(), Ahead::<1>::new());
    let (mut sealing, mut opening, mut sealing_ahead, mut opening_ahead) = (0, 0, 0, 0);
    for _ in 0..REPEATS {
        let start = SYST::get_current();
        sealer.seal(black_box(frame)).ok()?;
        sealing += passed(start);
        let start = SYST::get_current();
        let (header, body) = frame.split_first_chunk_mut::<HEADER_LEN>()?;
        let body_len = opener.open_header(header).ok()?;
        opener.open_body(body_len, body).ok()?;
        opening += passed(start);

        sealer.prepare(&mut sending);
        opener.prepare(&mut receiving);
        let start = SYST::get_current();
        sealer.seal_ahead(&mut sending, black_box(frame)).ok()?;
        sealing_ahead += passed(start);
        let start = SYST::get_current();
        let (header, body) = frame.split_first_chunk_mut::<HEADER_LEN>()?;
        let body_len = opener.open_header_ahead(&mut receiving, 1, header).ok()?;
        opener.open_body_ahead(&mut receiving, body_len, body).ok()?;
        opening_ahead += passed(start);
    }
    for (name, total) in [
        ("seal", sealing),
        ("seal, keystream ahead", sealing_ahead),
        ("open", opening),
        ("open, keystream ahead", opening_ahead),
    ] {
        defmt::info!("measured {=str}, {=usize} bytes: {=u32}", name, len, total / REPEATS);
    }
    Some(())
}

/// Instructions since the counter, which counts down, stood at `start`.
fn passed(start: u32) -> u32 {
    (start.wrapping_sub(SYST::get_current()) & LONGEST) * INSTRUCTIONS_PER_TICK
}

fn report(name: &str, instructions: u32) {
    defmt::info!("measured {=str}: {=u32}", name, instructions);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}
