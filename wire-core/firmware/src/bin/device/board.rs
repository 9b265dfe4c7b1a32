//! The board `mps2-an386` as QEMU has it: a UART, a millisecond tick, the exits. All unsafe code of the image is here.
//!
//! - [`Uart`]: bytes to and from UART 0; an interrupt puts what comes into a queue.
//! - [`Ticks`]: a clock of milliseconds, counted by an interrupt, which also queues the readings.
//! - [`run`]: one task, polled whenever an interrupt has been.
//! - [`random`]: from the machine that runs the emulator. A device in the field has a generator of its own.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, Peripherals};
use cortex_m_rt::exception;
use cortex_m_semihosting::debug;
use critical_section::Mutex;
use heapless::spsc::{Consumer, Producer, Queue};
use oddwire_firmware::clock::Clock;
use oddwire_firmware::outgoing::Sender;
use static_cell::ConstStaticCell;
use wire_core::connection::Timestamp;
use wire_core::secret::Secret;

use super::line::Line;
use super::{READING_LEN, reading};

/// 25 MHz, of which the tick takes every 25,000th.
const CYCLES_PER_TICK: u32 = 25_000;
/// Bytes between the interrupt and the line. When it is full the UART is left alone, and the other side waits.
const RECEIVE_QUEUE_LEN: usize = 256;

core::arch::global_asm!(include_str!("../../../vectors.s"));

static RECEIVED: ConstStaticCell<Queue<u8, RECEIVE_QUEUE_LEN>> = ConstStaticCell::new(Queue::new());
static RECEIVER: Mutex<RefCell<Option<Producer<'static, u8>>>> = Mutex::new(RefCell::new(None));
static READINGS: Mutex<RefCell<Option<Sender<'static, READING_LEN>>>> = Mutex::new(RefCell::new(None));
static WANTED: Mutex<Cell<u16>> = Mutex::new(Cell::new(0));
static MILLIS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// What the program gets of the board.
pub(crate) struct Board {
    pub(crate) line: Line,
    pub(crate) clock: Ticks,
}

/// Starts tick and UART. `None` the second time.
pub(crate) fn start(readings: Sender<'static, READING_LEN>) -> Option<Board> {
    let mut core = Peripherals::take()?;
    let (producer, consumer) = RECEIVED.take().split();
    critical_section::with(|section| {
        RECEIVER.borrow_ref_mut(section).replace(producer);
        READINGS.borrow_ref_mut(section).replace(readings);
    });
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(CYCLES_PER_TICK - 1);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    core.SYST.enable_interrupt();
    registers::start();
    // SAFETY: the handler shares nothing with the program but what a critical section guards.
    unsafe { NVIC::unmask(UartReceived) };
    Some(Board { line: Line::new(Uart { received: consumer }), clock: Ticks })
}

/// The interrupt of UART 0 for a byte that came.
#[derive(Clone, Copy)]
struct UartReceived;

// SAFETY: 0 is an interrupt of this board, and it is one alone.
unsafe impl InterruptNumber for UartReceived {
    fn number(self) -> u16 {
        0
    }
}

/// Bytes to and from the line.
pub(crate) struct Uart {
    received: Consumer<'static, u8>,
}

impl Uart {
    /// A byte that has come.
    pub(crate) fn receive(&mut self) -> Option<u8> {
        let byte = self.received.dequeue();
        if byte.is_none() {
            // The interrupt may have stopped at a full queue.
            registers::listen();
        }
        byte
    }

    /// Sends a byte as soon as there is room for it.
    pub(crate) async fn send(&mut self, byte: u8) {
        poll_fn(|_| if registers::transmit(byte) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// Puts what has come into the queue. With no room there it turns itself off until the line has made some.
fn receive_all() {
    critical_section::with(|section| {
        let mut receiver = RECEIVER.borrow_ref_mut(section);
        let Some(queue) = receiver.as_mut() else { return };
        while registers::has_received() {
            if !queue.ready() {
                registers::ignore();
                break;
            }
            let _ = queue.enqueue(registers::received());
        }
    });
}

/// The clock of the board.
#[derive(Clone, Copy)]
pub(crate) struct Ticks;

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(critical_section::with(|section| MILLIS.borrow(section).get()))
    }

    async fn until(&self, deadline: Timestamp) {
        // Every tick polls the task again.
        poll_fn(|_| if self.now() >= deadline { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

#[exception]
fn SysTick() {
    critical_section::with(|section| {
        let millis = MILLIS.borrow(section);
        millis.set(millis.get().wrapping_add(1));
        let wanted = WANTED.borrow(section);
        if let Some(left) = wanted.get().checked_sub(1)
            && let Some(readings) = READINGS.borrow_ref_mut(section).as_mut()
            // A full queue: the same reading again at the next tick.
            && readings.send(reading(left)).is_ok()
        {
            wanted.set(left);
        }
    });
}

/// Has the tick queue so many readings, one each time.
pub(crate) fn request_readings(count: u16) {
    critical_section::with(|section| WANTED.borrow(section).set(count));
}

/// Polls the one task after every interrupt, for ever.
pub(crate) fn run(task: impl Future<Output = Infallible>) -> ! {
    let mut task = pin!(task);
    // Whatever a task waits for, an interrupt announces it; so it need not say whom to wake.
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(never) = task.as_mut().poll(&mut context) {
            match never {}
        }
        // An interrupt between the poll and here is noticed at the next tick.
        cortex_m::asm::wfi();
    }
}

/// How the program ends.
#[derive(Clone, Copy)]
pub(crate) enum Exit {
    Success,
    Failure,
}

/// Ends the emulator with the status.
pub(crate) fn exit(how: Exit) -> ! {
    let status = match how {
        Exit::Success => debug::EXIT_SUCCESS,
        Exit::Failure => debug::EXIT_FAILURE,
    };
    loop {
        debug::exit(status);
    }
}

/// Overwrites what earlier calls have left on the stack: the handshake moves secrets about, and this is where their
/// copies are. It reaches as deep as the handshake does.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut room = [0_u8; STACK_OF_THE_HANDSHAKE];
    room.fill(0);
    // The compiler must believe that somebody reads it.
    core::hint::black_box(&mut room);
}

/// How deep the handshake reaches below its caller, in bytes, and more. The test searches all RAM and finds it if this is
/// too little.
const STACK_OF_THE_HANDSHAKE: usize = if cfg!(feature = "libsecp256k1") { 7 * 1024 } else { 11 * 1024 };

/// 32 random bytes: from the file `random` where the emulator runs, a link to the machine's own source.
pub(crate) fn random() -> Secret<32> {
    let mut bytes = [0_u8; 32];
    semihosting::read("random\0", &mut bytes);
    Secret::new(bytes)
}

mod semihosting {
    //! Files of the machine that runs the emulator.

    use cortex_m_semihosting::syscall;

    const OPEN_TO_READ_BYTES: usize = 1;

    /// Fills `room` from the start of the file; leaves it as it is if there is no such file. `name` ends with a zero byte.
    pub(super) fn read(name: &str, room: &mut [u8]) {
        // SAFETY: the call reads the name, whose length without the zero byte goes with it.
        let file = unsafe { syscall!(OPEN, name.as_ptr(), OPEN_TO_READ_BYTES, name.len() - 1) };
        // SAFETY: the call writes at most as many bytes as `room` has.
        unsafe { syscall!(READ, file, room.as_mut_ptr(), room.len()) };
        // SAFETY: the call takes the number of a file and touches no memory.
        unsafe { syscall!(CLOSE, file) };
    }
}

mod registers {
    //! UART 0: ARM's CMSDK APB UART. Every access to hardware of the image that is not the processor's own.

    const BASE: usize = 0x4000_4000;
    const DATA: usize = BASE;
    const STATE: usize = BASE + 0x4;
    const CONTROL: usize = BASE + 0x8;
    const INTERRUPTS: usize = BASE + 0xc;
    const BAUD_DIVIDER: usize = BASE + 0x10;

    const TRANSMIT_FULL: u32 = 1;
    const RECEIVE_FULL: u32 = 1 << 1;
    const ENABLE_BOTH_WAYS: u32 = 0b11;
    const INTERRUPT_ON_RECEIVE: u32 = 1 << 3;
    const RECEIVE_INTERRUPT: u32 = 1 << 1;
    /// The least that the UART allows; the emulator knows no speed.
    const FASTEST: u32 = 16;

    pub(super) fn start() {
        write(BAUD_DIVIDER, FASTEST);
        listen();
    }

    /// Lets a byte that comes interrupt.
    pub(super) fn listen() {
        write(CONTROL, ENABLE_BOTH_WAYS | INTERRUPT_ON_RECEIVE);
        // What came while it did not interrupt waits in the UART and would not announce itself again.
        if has_received() {
            super::receive_all();
        }
    }

    /// Leaves the byte that is there, and any that comes, in the UART.
    pub(super) fn ignore() {
        write(CONTROL, ENABLE_BOTH_WAYS);
        // The line to the processor stays up for what has been announced already, and the handler would run for ever.
        write(INTERRUPTS, RECEIVE_INTERRUPT);
    }

    pub(super) fn has_received() -> bool {
        read(STATE) & RECEIVE_FULL != 0
    }

    pub(super) fn received() -> u8 {
        write(INTERRUPTS, RECEIVE_INTERRUPT);
        let [byte, ..] = read(DATA).to_le_bytes();
        byte
    }

    /// Whether there was room for it.
    pub(super) fn transmit(byte: u8) -> bool {
        if read(STATE) & TRANSMIT_FULL != 0 {
            return false;
        }
        write(DATA, byte.into());
        true
    }

    fn read(register: usize) -> u32 {
        // SAFETY: the constants above are registers of this board, of 32 bits each, which nobody else uses.
        unsafe { core::ptr::with_exposed_provenance::<u32>(register).read_volatile() }
    }

    fn write(register: usize, value: u32) {
        // SAFETY: as for `read`; none of these values makes the UART touch memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(register).write_volatile(value) }
    }
}

/// Every interrupt that has no handler of its own; of this board's there is one, the UART's: `vectors.s`.
#[exception]
unsafe fn DefaultHandler(_number: i16) {
    receive_all();
}
