//! Strangers at the door, with an endpoint behind it that works: they say nothing, say nonsense, or
//! bring descriptors of the wrong kind, and wrongly many.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use chaski_shm::wire::{Hello, Kind};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketType, connect, sendmsg, socket,
};
use rustix::pipe::pipe;

use super::NAME;
use super::processes::dice::Dice;
use super::processes::place::Place;
use super::victim::Stage;

/// Rings of the size that strangers ask for.
const CAPACITY: u32 = 65_536;

/// The length of a half with such rings.
const HALF: u64 = CAPACITY as u64 + 12_288;

/// Callers who say nothing: more than the server lets wait.
const SILENT: usize = 100;

/// The most descriptors of one packet (`SCM_MAX_FD`).
const DESCRIPTORS_MAX: usize = 253;

/// Requests of the honest client between two strangers.
const BETWEEN: u64 = 20;

pub(crate) fn come_in() {
    let mut stage = Stage::new(1, "", 0, Dice::thrown_for("come_in"));
    let silent: Vec<_> = (0..SILENT).map(|_| call(&stage.place)).collect();
    serve(&mut stage);
    drop(silent);
    for packet in nonsense() {
        let stranger = call(&stage.place);
        say(&stranger, &packet, &[]);
        serve(&mut stage);
    }
    for (packet, fds) in misfits() {
        let stranger = call(&stage.place);
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        say(&stranger, &packet, &fds);
        serve(&mut stage);
    }
    stage.end();
}

/// The honest client is served meanwhile.
fn serve(stage: &mut Stage) {
    let end = stage.honest + BETWEEN;
    while stage.honest < end {
        stage.serve();
    }
}

fn call(place: &Place) -> OwnedFd {
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
    let address = SocketAddrUnix::new(place.socket(NAME)).expect("a short path");
    connect(&socket, &address).expect("the server listens");
    socket
}

/// That it is not taken is the server's right: it may have hung up.
fn say(socket: &OwnedFd, packet: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    let _ = sendmsg(socket, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL);
}

/// Packets that are no hello.
fn nonsense() -> Vec<Vec<u8>> {
    let hello = hello();
    let mut packets = vec![vec![], vec![0], vec![255; 256], vec![0; 5000], hello[1..].to_vec()];
    packets.push([&hello[..], &[0]].concat());
    for at in 0..hello.len() {
        let mut packet = hello.clone();
        packet[at] ^= 0xff;
        packets.push(packet);
    }
    packets
}

/// Sound hellos with descriptors that do not fit.
fn misfits() -> Vec<(Vec<u8>, Vec<OwnedFd>)> {
    let bell = || eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
    let (reader, writer) = pipe().expect("a pipe");
    let device = || OwnedFd::from(File::open("/dev/zero").expect("a device"));
    let rigid = SealFlags::SHRINK | SealFlags::GROW;
    let halves = [
        vec![],
        vec![memory(HALF, rigid)],
        vec![memory(HALF, rigid), bell(), bell()],
        vec![memory(HALF, rigid), bell(), bell(), bell()],
        (0..9).map(|_| bell()).collect(),
        (0..DESCRIPTORS_MAX).map(|_| bell()).collect(),
        vec![bell(), memory(HALF, rigid)],
        vec![memory(HALF, SealFlags::empty()), bell()],
        vec![memory(HALF, SealFlags::SHRINK), bell()],
        vec![memory(HALF - 4096, rigid), bell()],
        vec![memory(HALF + 4096, rigid), bell()],
        vec![memory(0, rigid), bell()],
        vec![memory(1 << 40, rigid), bell()],
        vec![reader, writer],
        vec![device(), device()],
        // The half is sound, but holds no ring, and the doorbell is none.
        vec![memory(HALF, rigid), device()],
        vec![memory(HALF, rigid), bell()],
    ];
    halves.into_iter().map(|fds| (hello(), fds)).collect()
}

fn hello() -> Vec<u8> {
    Hello { capacity: CAPACITY, payload_max: 1 << 20, ..Hello::new(Kind::Call) }.encode()
}

fn memory(len: u64, seals: SealFlags) -> OwnedFd {
    let fd = memfd_create("stranger", MemfdFlags::ALLOW_SEALING).expect("memory");
    ftruncate(&fd, len).expect("a length");
    fcntl_add_seals(&fd, seals).expect("seals");
    fd
}
