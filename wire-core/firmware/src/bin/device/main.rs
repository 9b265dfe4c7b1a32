//! The image that proves it: a device that dials, answers calls, talks, and is told by its peer when to stop.
//!
//! What it does is decided by its peer's messages, so that one image plays every scene of the test:
//!
//! | message of the peer | the device |
//! |---|---|
//! | [`ECHO`] | sends the payload back as [`ECHOED`] |
//! | [`READINGS`], a count | sends as many [`READING`]s, which an interrupt queues |
//! | [`HANG_UP`] | drains and closes; the next connection begins |
//! | [`STOP`] | closes and ends the program with status 0 |
//!
//! Without a connection it dials, again and again, unless it is called. Each end is logged with its reason.
#![no_std]
#![no_main]

mod board;
mod line;

use core::convert::Infallible;
use core::time::Duration;

use cortex_m_rt::entry;
use defmt_semihosting as _;
use embassy_futures::select::{Either, select};
use heapless::Vec;
use oddwire_firmware::clock::Clock as _;
use oddwire_firmware::outgoing::{Message, Outgoing, Receiver};
use oddwire_firmware::peer::{Buffers, Peer, SendError};
use static_cell::{ConstStaticCell, StaticCell};
use wire_core::connection::{Connection, Deadlines, Event, LEAST_TRANSMIT_ROOM, Local};
use wire_core::limits::FRAME_OVERHEAD;
use wire_core::message::features::FeatureSet;
use wire_core::message::kind::MessageType;
use wire_core::node_id::NodeId;
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

use board::Ticks;
use line::{Call, Line};

/// Asks for the payload back.
const ECHO: MessageType = MessageType::new(0x8001);
/// The answer to it.
const ECHOED: MessageType = MessageType::new(0x8003);
/// Asks for so many readings.
const READINGS: MessageType = MessageType::new(0x8005);
/// One of them: its number.
const READING: MessageType = MessageType::new(0x8007);
/// Ends the connection.
const HANG_UP: MessageType = MessageType::new(0x8009);
/// Ends the program.
const STOP: MessageType = MessageType::new(0x800b);

/// The longest message that is received whole, in bytes.
const LONGEST: u16 = 1_024;
const RX: usize = Local::receive_buffer_len(LONGEST as usize);
const TX: usize = LONGEST as usize + FRAME_OVERHEAD;
const _: () = assert!(TX >= LEAST_TRANSMIT_ROOM);

/// What a message holds.
type Payload = Vec<u8, { LONGEST as usize }>;

/// A reading is two bytes.
const READING_LEN: usize = 2;
/// Room for readings between the interrupt and the loop.
const QUEUE_LEN: usize = 8;

/// How long a device that nobody called waits until it dials again.
const REDIAL_AFTER: Duration = Duration::from_millis(20);

/// Key of the device in the test, which the other side knows too. A device in the field has one of its own.
const DEVICE_KEY: [u8; 32] = *b"the device of the firmware test.";
/// Whom it calls: the node whose `hsm_secret` is 32 times 0x21.
const HOST: [u8; 33] = [
    0x02, 0xc7, 0x12, 0xfd, 0x14, 0xdd, 0x2a, 0xb3, 0x47, 0xb5, 0xf5, 0xf9, 0x49, 0xbd, 0xfb, 0x0d, 0xf9,
    0x1a, 0x1e, 0x22, 0xf9, 0x6d, 0x26, 0xf7, 0xf0, 0x1e, 0x44, 0x8a, 0x40, 0x27, 0xc4, 0x2e, 0x46,
];
/// The chain that both are on, as `init` names it: regtest.
const REGTEST: [u8; 32] = [
    0x06, 0x22, 0x6e, 0x46, 0x11, 0x1a, 0x0b, 0x59, 0xca, 0xaf, 0x12, 0x60, 0x43, 0xeb, 0x5b, 0xbf, 0x28,
    0xc3, 0x4f, 0x3a, 0x5e, 0x33, 0x2a, 0x1f, 0xc7, 0xb2, 0xb7, 0x3c, 0xf1, 0x88, 0x91, 0x0f,
];

static LOCAL: StaticCell<Local> = StaticCell::new();
static BUFFERS: ConstStaticCell<Buffers<RX, TX>> = ConstStaticCell::new(Buffers::new());
/// What is sent back, so that no payload is moved about on the stack.
static ECHO_PAYLOAD: ConstStaticCell<Payload> = ConstStaticCell::new(Vec::new());
static OUTGOING: ConstStaticCell<Outgoing<READING_LEN, QUEUE_LEN>> = ConstStaticCell::new(Outgoing::new());
/// The connection stays where it is made, so that all its secrets are in one place and wiped there.
static CONNECTION: StaticCell<Option<Connection<&'static Local>>> = StaticCell::new();

#[entry]
fn main() -> ! {
    let local = match StaticKey::from_bytes(&Secret::new(DEVICE_KEY)) {
        Ok(key) => &*LOCAL.init(Local {
            key,
            features: FeatureSet::DEFAULT,
            chain_hash: REGTEST,
            deadlines: DEADLINES,
            longest_message: LONGEST,
        }),
        Err(error) => give_up(&error),
    };
    let host = match NodeId::from_bytes(&HOST) {
        Ok(host) => host,
        Err(error) => give_up(&error),
    };
    let (readings, outgoing) = OUTGOING.take().split();
    let Some(board) = board::start(readings) else { give_up(&"the board is taken") };
    defmt::info!("device {} with {=usize} bytes of state a connection", local.key.node_id(), STATE_LEN);

    // No key is in what is logged of it: the test looks.
    defmt::info!("{}", local.key);

    let device = Device {
        local,
        host,
        clock: board.clock,
        buffers: BUFFERS.take(),
        echo: ECHO_PAYLOAD.take(),
        outgoing,
        connection: CONNECTION.init(None),
    };
    board::run(device.live(board.line))
}

/// Bytes of a connection besides its buffers.
const STATE_LEN: usize = size_of::<Connection<&'static Local>>();

/// As for a host, but that a frame that never ends is noticed sooner, for the test's sake.
const DEADLINES: Deadlines = Deadlines {
    handshake: Duration::from_secs(3),
    init: Duration::from_secs(3),
    idle_before_ping: Duration::from_secs(5),
    pong: Duration::from_secs(5),
    drain: Duration::from_secs(2),
};

fn give_up(error: &dyn Loggable) -> ! {
    error.log();
    board::exit(board::Exit::Failure)
}

/// Something that can be logged, whatever it is.
trait Loggable {
    fn log(&self);
}

impl<T: defmt::Format> Loggable for T {
    fn log(&self) {
        defmt::error!("cannot start: {}", self);
    }
}

/// All that outlives a connection.
struct Device {
    local: &'static Local,
    host: NodeId,
    clock: Ticks,
    buffers: &'static mut Buffers<RX, TX>,
    echo: &'static mut Payload,
    outgoing: Receiver<'static, READING_LEN>,
    connection: &'static mut Option<Connection<&'static Local>>,
}

/// What to do after a connection.
enum Next {
    Again,
    Stop,
}

/// What the peer wants.
enum Wish {
    Nothing,
    /// The payload that was kept, as its message is out of the buffer by then.
    Echo,
    Close(Next),
}

impl Device {
    async fn live(mut self, mut line: Line) -> Infallible {
        loop {
            let call = self.next_call(&mut line).await;
            begin(self.connection, self.local, self.host, self.clock, call);
            let next = self.talk(&mut line).await;
            // Drops the connection, and with it its keys.
            *self.connection = None;
            line.hang_up().await;
            if let Next::Stop = next {
                board::exit(board::Exit::Success)
            }
        }
    }

    async fn next_call(&mut self, line: &mut Line) -> Call {
        loop {
            if let Some(call) = line.dial().await {
                return call;
            }
            let later = self.clock.now().after(REDIAL_AFTER);
            if let Either::First(call) = select(line.called(), self.clock.until(later)).await {
                return call;
            }
        }
    }

    /// One connection from act one to its end.
    async fn talk(&mut self, line: &mut Line) -> Next {
        let Some(connection) = self.connection else { return Next::Again };
        let mut peer = Peer::new(connection, line, &self.clock, self.buffers, &mut self.outgoing);
        let mut next = Next::Again;
        loop {
            let reason = match peer.next(|event| heed(event, self.echo)).await {
                Ok(Wish::Nothing) => continue,
                Ok(Wish::Echo) => match peer.send(ECHOED, self.echo).await {
                    Ok(()) => continue,
                    Err(SendError::Closed(reason)) => reason,
                    Err(error) => {
                        defmt::error!("no echo: {}", error);
                        continue;
                    }
                },
                Ok(Wish::Close(then)) => {
                    next = then;
                    peer.close().await
                }
                Err(reason) => reason,
            };
            defmt::info!("closed: {}", reason);
            return next;
        }
    }
}

/// Makes the connection where it will stay. What was on the stack for it is wiped later, as all of the handshake.
#[inline(never)]
fn begin(
    connection: &mut Option<Connection<&'static Local>>,
    local: &'static Local,
    host: NodeId,
    clock: Ticks,
    call: Call,
) {
    let ephemeral = loop {
        if let Ok(key) = EphemeralKey::from_bytes(board::random()) {
            break key;
        }
    };
    defmt::info!("with {}", ephemeral);
    let now = clock.now();
    *connection = Some(match call {
        Call::Connected => Connection::initiator(local, host, ephemeral, now),
        Call::Incoming => Connection::responder(local, None, ephemeral, now),
    });
}

/// Logs an event and tells what is to be done about it.
fn heed(event: &Event<'_>, echo: &mut Payload) -> Wish {
    match event {
        Event::Authenticated(id) => {
            board::wipe_stack();
            defmt::info!("authenticated {}", id);
        }
        Event::Open(_) => defmt::info!("open"),
        Event::Message { kind, payload, .. } => return obey(*kind, payload, echo),
        Event::TooLong { kind, len } => {
            defmt::warn!("too long: type {=u16}, {=u16} bytes", kind.get(), *len);
        }
        Event::Pong { total_len, .. } => defmt::info!("pong of {=u16} bytes", *total_len),
        Event::Warning(warning) => defmt::warn!("the peer warns: {=[u8]:a}", warning.data),
        Event::Error(error) => defmt::warn!("the peer reports an error: {=[u8]:a}", error.data),
        Event::Ignored(kind) => defmt::info!("ignored type {=u16}", kind.get()),
        _ => {}
    }
    Wish::Nothing
}

fn obey(kind: MessageType, payload: &[u8], echo: &mut Payload) -> Wish {
    match (kind, payload) {
        (ECHO, payload) => {
            echo.clear();
            // There is room for the longest message.
            echo.extend_from_slice(payload).map_or(Wish::Nothing, |()| Wish::Echo)
        }
        (READINGS, [high, low]) => {
            board::request_readings(u16::from_be_bytes([*high, *low]));
            Wish::Nothing
        }
        (HANG_UP, _) => Wish::Close(Next::Again),
        (STOP, _) => Wish::Close(Next::Stop),
        (kind, payload) => {
            defmt::info!("message of type {=u16}: {=[u8]:02x}", kind.get(), payload);
            Wish::Nothing
        }
    }
}

/// What the interrupt sends when readings are asked for.
fn reading(number: u16) -> Message<READING_LEN> {
    let payload = Vec::from_slice(&number.to_be_bytes()).unwrap_or_default();
    Message { kind: READING, payload }
}

/// No panic can be reached by what a peer sends: `cargo xtask firmware` reads the image, which has none of wire-core, and
/// knows all others by name. Should one be reached all the same, the program ends and says so.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    board::exit(board::Exit::Failure)
}
