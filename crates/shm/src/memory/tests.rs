//! What a peer can do to memory of ours, and what it can make us map.

use std::ffi::c_void;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chaski_ring::region::{Consumer, Fence, Observer, Producer};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, ftruncate};
use rustix::io::Errno;
use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};

use super::*;

const LEN: usize = 16 * 1024;

/// Tries to map `fd` with the given protection; unmaps it again.
fn map(fd: &impl AsFd, protection: ProtFlags) -> rustix::io::Result<()> {
    // SAFETY: a mapping of its own, which nobody looks into.
    unsafe {
        let base = mm::mmap(ptr::null_mut(), LEN, protection, MapFlags::SHARED, fd, 0)?;
        mm::munmap(base, LEN)
    }
}

fn memfd(len: u64, seals: SealFlags) -> OwnedFd {
    let fd = rustix::fs::memfd_create("foreign", MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, len).unwrap();
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

/// How often memory with this inode is mapped in this process.
fn mappings_of(fd: &OwnedFd) -> usize {
    let inode = rustix::fs::fstat(fd).unwrap().st_ino.to_string();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let of_it = |line: &&str| {
        line.contains("memfd:") && line.split_whitespace().nth(4) == Some(inode.as_str())
    };
    maps.lines().filter(of_it).count()
}

#[test]
fn what_the_owner_writes_the_receiver_reads() {
    let (mine, fd) = create("memory-test", LEN).unwrap();
    let theirs = open(fd.as_fd(), LEN).unwrap();
    assert_eq!((mine.len(), theirs.len()), (LEN, LEN));
    assert!(mine.is_writable() && !theirs.is_writable());
    mine.word(8).store(7, Ordering::Relaxed);
    assert_eq!(theirs.word(8).load(Ordering::Relaxed), 7);
    for len in [0, 1, 7, 8, 9, 127, 128, 4099] {
        let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
        mine.copy_in(4096, &bytes);
        let mut out = b"before".to_vec();
        theirs.append_to(4096, len, &mut out);
        assert_eq!(out.strip_prefix(b"before"), Some(&bytes[..]));
    }
}

#[test]
fn the_receiver_cannot_resize_it() {
    let (_mine, fd) = create("memory-test", LEN).unwrap();
    for len in [0, LEN as u64 - 1, LEN as u64 + 1] {
        assert_eq!(ftruncate(&fd, len), Err(Errno::PERM), "to {len}");
    }
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(fallocate(&fd, punch, 0, 4096), Err(Errno::PERM));
}

#[test]
fn the_receiver_cannot_write_it() {
    let (mine, fd) = create("memory-test", LEN).unwrap();
    assert_eq!(map(&fd, ProtFlags::READ), Ok(()));
    assert_eq!(map(&fd, ProtFlags::READ | ProtFlags::WRITE), Err(Errno::PERM));
    assert_eq!(rustix::io::write(&fd, b"x"), Err(Errno::PERM));
    assert_eq!(open_writable(fd.as_fd(), LEN).unwrap_err(), Unsound::Access);
    // Nor after it took the seals for the last word.
    assert_eq!(rustix::fs::fcntl_add_seals(&fd, SealFlags::WRITE), Err(Errno::PERM));
    assert_eq!(mine.word(0).load(Ordering::Relaxed), 0);
}

#[test]
fn a_read_only_mapping_cannot_be_made_writable() {
    let (_mine, fd) = create("memory-test", LEN).unwrap();
    // SAFETY: a mapping of its own, which nobody looks into.
    let result = unsafe {
        let flags = MapFlags::SHARED;
        let base = mm::mmap(ptr::null_mut(), LEN, ProtFlags::READ, flags, &fd, 0).unwrap();
        let result = mm::mprotect(base, LEN, MprotectFlags::READ | MprotectFlags::WRITE);
        mm::munmap(base, LEN).unwrap();
        result
    };
    assert_eq!(result, Err(Errno::ACCESS));
}

#[test]
fn opening_it_again_through_proc_does_not_help() {
    let (_mine, fd) = create("memory-test", LEN).unwrap();
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let mut again = OpenOptions::new().read(true).write(true).open(path).unwrap();
    assert_eq!(map(&again, ProtFlags::READ | ProtFlags::WRITE), Err(Errno::PERM));
    assert_eq!(again.write(b"x").unwrap_err().raw_os_error(), Some(Errno::PERM.raw_os_error()));
    assert!(again.set_len(0).is_err());
}

#[test]
fn what_is_open_to_all_can_be_written_but_not_resized() {
    let (mine, fd) = create_open_to_all("memory-test", LEN).unwrap();
    let theirs = open_writable(fd.as_fd(), LEN).unwrap();
    theirs.word(0).store(1, Ordering::Relaxed);
    assert_eq!(mine.word(0).load(Ordering::Relaxed), 1);
    assert_eq!(ftruncate(&fd, 0), Err(Errno::PERM));
    assert_eq!(rustix::fs::fcntl_add_seals(&fd, SealFlags::FUTURE_WRITE), Err(Errno::PERM));
}

#[test]
fn what_is_not_memory_is_refused() {
    let (pipe, _writer) = std::io::pipe().unwrap();
    let device = File::open("/dev/zero").unwrap();
    let directory = File::open("/proc").unwrap();
    for fd in [OwnedFd::from(pipe), device.into(), directory.into()] {
        assert_eq!(open(fd.as_fd(), LEN).unwrap_err(), Unsound::NotMemory);
    }
}

#[test]
fn a_file_is_refused_on_whatever_file_system() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(LEN as u64).unwrap();
    // A tmpfs knows of seals, but its files take none.
    let error = open(file.as_fd(), LEN).unwrap_err();
    assert!(matches!(error, Unsound::NotMemory | Unsound::Unsealed), "{error}");
}

#[test]
fn memory_that_could_shrink_or_grow_is_refused() {
    for seals in [SealFlags::empty(), SealFlags::SHRINK, SealFlags::GROW | SealFlags::SEAL] {
        let fd = memfd(LEN as u64, seals);
        assert_eq!(open(fd.as_fd(), LEN).unwrap_err(), Unsound::Unsealed, "{seals:?}");
        assert_eq!(mappings_of(&fd), 0);
    }
}

#[test]
fn memory_of_another_length_is_refused() {
    let seals = SealFlags::SHRINK | SealFlags::GROW;
    for found in [0, LEN as i64 - 1, LEN as i64 + 1, 1 << 40] {
        let fd = memfd(found as u64, seals);
        let expected = Unsound::Length { expected: LEN, found };
        assert_eq!(open(fd.as_fd(), LEN).unwrap_err(), expected);
        assert_eq!(mappings_of(&fd), 0);
    }
}

#[test]
fn a_descriptor_that_may_not_be_read_is_refused() {
    let fd = memfd(LEN as u64, SealFlags::SHRINK | SealFlags::GROW);
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let write_only = OpenOptions::new().write(true).open(path).unwrap();
    assert_eq!(open(write_only.as_fd(), LEN).unwrap_err(), Unsound::Access);
}

#[test]
fn a_mapping_goes_when_it_is_dropped_and_outlives_the_descriptor() {
    let (mine, fd) = create("memory-test", LEN).unwrap();
    let theirs = open(fd.as_fd(), LEN).unwrap();
    assert_eq!(mappings_of(&fd), 2);
    drop(mine);
    assert_eq!(mappings_of(&fd), 1);
    assert_eq!(theirs.word(0).load(Ordering::Relaxed), 0);
    let inode_kept = fd.try_clone().unwrap();
    drop(fd);
    assert_eq!(theirs.word(LEN - 8).load(Ordering::Relaxed), 0);
    drop(theirs);
    assert_eq!(mappings_of(&inode_kept), 0);
}

#[test]
fn populated_memory_has_all_its_pages() {
    let (mine, fd) = create_with("memory-test", LEN, Pages::Populated).unwrap();
    let blocks = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_blocks as usize * 512;
    assert_eq!(blocks(&fd), LEN);
    drop(mine);
    let (_lazy, fd) = create("memory-test", LEN).unwrap();
    assert_eq!(blocks(&fd), 0);
}

#[test]
fn huge_pages_come_or_the_error_says_how_to_enable_them() {
    assert!(create_with("memory-test", LEN, Pages::Huge).is_err(), "too small");
    match create_with("memory-test", 4 << 20, Pages::Huge) {
        Ok((mapping, _fd)) => assert_eq!(mapping.len(), 4 << 20),
        Err(error) => assert!(error.to_string().contains("echo advise > /sys/"), "{error}"),
    }
}

#[test]
#[should_panic(expected = "8 bytes at 16384 of 16384")]
fn an_offset_outside_is_our_own_mistake() {
    let (mine, _fd) = create("memory-test", LEN).unwrap();
    mine.word(LEN);
}

#[test]
fn memory_cannot_be_run_as_a_program() {
    let (_mine, fd) = create("memory-test", LEN).unwrap();
    let seals = rustix::fs::fcntl_get_seals(&fd).unwrap();
    // Linux before 6.3 has no such seal.
    if seals.contains(SealFlags::EXEC) {
        let mode = rustix::fs::Mode::from_raw_mode(0o777);
        assert_eq!(rustix::fs::fchmod(&fd, mode), Err(Errno::PERM));
    }
    assert!(seals.contains(SealFlags::SEAL));
}

#[test]
fn a_half_is_laid_out_as_drawn() {
    let half = Half::new(65536).unwrap();
    assert_eq!((half.ledger(), half.len()), (65536 + 8192, 65536 + 12288));
    for capacity in [0, 64, 2048, 4097, 65537, 2 << 30] {
        assert!(Half::new(capacity).is_err(), "{capacity}");
    }
    assert!(Half::new(4096).is_ok() && Half::new(1 << 30).is_ok());
}

/// Two sides with halves of different sizes, each of which maps the other's read-only.
#[test]
fn two_halves_make_two_rings() {
    let (small, large) = (Half::new(4096).unwrap(), Half::new(65536).unwrap());
    let (client, client_fd) = create("memory-test", small.len()).unwrap();
    let (server, server_fd) = create("memory-test", large.len()).unwrap();
    let of_client = Arc::new(open(client_fd.as_fd(), small.len()).unwrap());
    let of_server = Arc::new(open(server_fd.as_fd(), large.len()).unwrap());
    let (client, server) = (Arc::new(client), Arc::new(server));

    let requests = RingMemory::outgoing(&client, small, &of_server, large);
    let responses = RingMemory::incoming(&client, small, &of_server, large);
    small.layout().format_producer(&requests).unwrap();
    large.layout().format_consumer(&responses, 0).unwrap();
    let at_server_in = RingMemory::incoming(&server, large, &of_client, small);
    let at_server_out = RingMemory::outgoing(&server, large, &of_client, small);
    large.layout().format_producer(&at_server_out).unwrap();
    small.layout().format_consumer(&at_server_in, 0).unwrap();

    let mut ask = Producer::attach(requests, small.layout(), Fence::Both).unwrap();
    let mut asked = Consumer::attach(at_server_in, small.layout(), Fence::Both).unwrap();
    let mut answer = Producer::attach(at_server_out, large.layout(), Fence::Both).unwrap();
    let mut answered = Consumer::attach(responses.clone(), large.layout(), Fence::Both).unwrap();
    let mut payload = Vec::new();
    for round in 0..1000_u32 {
        let long = vec![round as u8; round as usize];
        ask.try_send(&long).unwrap();
        asked.try_recv(&mut payload).unwrap().unwrap();
        assert_eq!(payload, long);
        answer.try_send(&payload.repeat(10)).unwrap();
        answered.try_recv(&mut payload).unwrap().unwrap();
        assert_eq!(payload.len(), 10 * long.len());
    }
    assert_eq!(Observer::attach(responses).unwrap().stats().received, 1000);
}

#[test]
fn an_area_for_the_ring_begins_on_a_page() {
    let (mine, _fd) = create("memory-test", LEN).unwrap();
    let base: *mut c_void = mine.area(4096, 4096).base.as_ptr().cast();
    assert!(base.addr().is_multiple_of(4096));
}
